import type { KindExamples } from '../../../testing/kind-examples.ts';

const spec = (name: string, more: object = {}) => ({
  ...{ spiffeId: `spiffe://example.org/${name}`, parentId: 'spiffe://example.org/node/a' },
  ...{ selectors: [`unix:user:${name}`], ...more },
});

export const conformance: KindExamples = {
  good: [
    spec('web', { x509Ttl: '90s', owner: 'shop' }),
    spec('batch', { labels: { team: 'shop' } }),
    spec('ops', { admin: true, dnsNames: ['ops.example.org'] }),
  ],
  bad: [
    {},
    { ...spec('web'), selectors: [] },
    { ...spec('web'), spiffeId: 'https://example.org/web' },
    { ...spec('web'), x509Ttl: '1ms' },
    { ...spec('web'), labels: { 'a b': 'c' } },
    { ...spec('web'), selector: 'unix:user:web' },
  ],
  // One entry twice.
  clash: [spec('web'), { ...spec('web'), hint: 'default' }],
};
