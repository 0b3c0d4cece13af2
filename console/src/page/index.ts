/**
 * What a page of the console is, and what its address says.
 *
 * It promises that a feature is one folder: its `page.ts` is found by itself, and its code is loaded when somebody goes there. It must not know any page.
 */
export { type ConsolePage, definePage, readFilters } from './page.ts';
export { type Filters, useFilters } from './use-filters.ts';
