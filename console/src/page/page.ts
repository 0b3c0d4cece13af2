import type { ComponentType } from 'react';

/** A page of the console: where it is, how it is found, and from where it is loaded when somebody goes there. */
export interface ConsolePage {
  /** Below /console; `/record/$log/$position` has two parameters. */
  readonly path: string;
  readonly title: string;
  /** Where the navigation has it; undefined: it is reached from another page. */
  readonly place?: {
    readonly group: 'Now' | 'Look' | 'Who' | 'Rules' | 'Setup';
    /** Small ones first. */
    readonly order: number;
    /** Its key behind `g`. */
    readonly key: string;
  };
  /** Other words for it, for the command palette. */
  readonly words?: string;
  /** Names of what the address says behind `?`. All else there is left out. */
  readonly filters?: readonly string[];
  readonly load: () => Promise<{ readonly Page: ComponentType }>;
}

/** Checks the type of a page; `console/src/features/<name>/page.ts` exports what this returns as `page`, or several as `pages`. */
export function definePage(page: ConsolePage): ConsolePage {
  return page;
}

/** What of an address belongs to a page: texts, not empty, of a length that an input has. */
export function readFilters(
  names: readonly string[],
  search: Readonly<Record<string, unknown>>,
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = search[name];
      return typeof value === 'string' && value !== '' && value.length <= FILTER_CHARS_MAX ? [[name, value]] : [];
    }),
  );
}

/** As a SPIFFE ID has at most. */
const FILTER_CHARS_MAX = 2048;
