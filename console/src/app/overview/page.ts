import { definePage } from '../../page/index.ts';

export const page = definePage({
  path: '/',
  title: 'Overview',
  place: { group: 'Now', order: 1, key: 'o' },
  words: 'home start what needs me now',
  load: () => import('./overview-page.tsx'),
});
