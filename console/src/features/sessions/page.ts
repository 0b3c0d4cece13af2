import { definePage } from '../../page/index.ts';

export const page = definePage({
  path: '/sessions',
  title: 'Live sessions',
  place: { group: 'Now', order: 2, key: 's' },
  words: 'connections running end kill quarantine psql clients',
  filters: ['identity', 'target', 'node', 'gateway', 'olderThan', 'open'],
  load: () => import('./sessions-page.tsx'),
});
