import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';

/** What the address says behind `?`, all of it texts. */
export type Filters = Readonly<Record<string, string | undefined>>;

/**
 * The filters of the page, and how to change some of them: every state of a page has an address that can be sent to somebody. `replace`: the browser's way
 * back leads over this change.
 */
export function useFilters(): readonly [Filters, (change: Filters, options?: { replace?: boolean }) => void] {
  const filters: Filters = useSearch({ strict: false });
  const navigate = useNavigate();
  const change = useCallback(
    (patch: Filters, { replace = false }: { replace?: boolean } = {}) =>
      void navigate({
        to: '.',
        // Those of whichever page it is.
        search: ((before: Filters) => withoutEmpty({ ...before, ...patch })) as never,
        replace,
      }),
    [navigate],
  );
  return [filters, change];
}

function withoutEmpty(filters: Filters): Filters {
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined && value !== ''));
}
