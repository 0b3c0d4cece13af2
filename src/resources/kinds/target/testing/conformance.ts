import type { KindExamples } from '../../../testing/kind-examples.ts';

const spec = { protocol: 'postgres', host: 'db', database: 'shop', user: 'app' };

export const conformance: KindExamples = {
  good: [spec, { ...spec, port: 6432 }, { protocol: 'http', url: 'http://api' }],
  bad: [{}, { protocol: 'gopher' }, { ...spec, port: 'many' }, { ...spec, hots: 'db' }],
  // One door for both.
  clash: [
    { ...spec, listen: { port: 6432 } },
    { ...spec, host: 'db2', listen: { port: 6432 } },
  ],
};
