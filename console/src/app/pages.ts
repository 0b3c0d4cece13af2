import type { ConsolePage } from '../page/index.ts';
import { page as overview } from './overview/page.ts';

const found = import.meta.glob<{ readonly page?: ConsolePage; readonly pages?: readonly ConsolePage[] }>(
  '../features/*/page.ts',
  {
    eager: true,
  },
);

/** All pages, of whatever feature. */
export const pages: readonly ConsolePage[] = [
  overview,
  ...Object.values(found).flatMap(({ page, pages: several = [] }) => [
    ...(page === undefined ? [] : [page]),
    ...several,
  ]),
];

/** Those that the navigation has, group by group. */
export const navigation = (['Now', 'Look', 'Who', 'Rules', 'Setup'] as const).map((group) => ({
  group,
  pages: pages
    .flatMap((page) => (page.place?.group === group ? [{ ...page, place: page.place }] : []))
    .toSorted((a, b) => a.place.order - b.place.order),
}));
