import { definePage } from '../../page/index.ts';
import { FILTER_NAMES } from './question.ts';

export const page = definePage({
  path: '/record',
  title: 'Record',
  place: { group: 'Look', order: 1, key: 'r' },
  words: 'search ledger audit log entries denials history proof verify',
  filters: [...FILTER_NAMES, 'follow', 'open'],
  load: () => import('./record-page.tsx'),
});
