import { serialize } from 'pg-protocol';

// The messages of a client, as node-postgres writes them.
export const query = (text: string) => serialize.query(text);
export const parse = (text: string, name = '') => serialize.parse({ text, name });
export const bind = (statement = '', portal = '', values: string[] = []) =>
  serialize.bind({ statement, portal, values });
export const describePortal = (name = '') => serialize.describe({ type: 'P', name });
export const describeStatement = (name = '') => serialize.describe({ type: 'S', name });
export const execute = (portal = '', rows = 0) => serialize.execute({ portal, rows });
export const sync = () => serialize.sync();
