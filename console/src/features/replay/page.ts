import { definePage } from '../../page/index.ts';

export const page = definePage({
  path: '/replay',
  title: 'Session replay',
  words: 'timeline what happened history of a session',
  filters: ['session', 'target', 'at'],
  load: () => import('./replay-page.tsx'),
});
