import { encodeStartup } from '../../../../wire/postgres/index.ts';

/** What the conformance suite of protocols needs to know of this one: a target on a port, and how a client begins. */
export const conformance = {
  config: (port: number) => ({ host: '127.0.0.1', port, database: 'app', user: 'gate', password: 'env:PW' }),
  hello: encodeStartup(0, [['user', 'app']]),
};
