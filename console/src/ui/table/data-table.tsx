import {
  createColumnHelper,
  createSortedRowModel,
  rowSortingFeature,
  sortFn_basic,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, type ReactNode, type RefObject, useEffect, useId, useMemo, useRef, useState } from 'react';
import { Icon } from '../icon.tsx';

/** One column of a list. */
export interface TableColumn<Row> {
  readonly id: string;
  readonly header: string;
  readonly cell: (row: Row) => ReactNode;
  /** As CSS has it for a column of a grid: `8rem`, `minmax(10rem, 2fr)`. */
  readonly width: string;
  /** It is there where the list has at least so many pixels; always unless said. */
  readonly from?: number;
  /** By what the list is put in order when somebody asks for that. */
  readonly sortBy?: (row: Row) => string | number;
  readonly align?: 'right';
}

interface Options<Row> {
  /** What it lists, for whoever hears it. */
  readonly label: string;
  readonly columns: readonly TableColumn<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly onOpen?: (row: Row) => void;
  readonly selection?: {
    readonly has: (key: string) => boolean;
    readonly toggle: (row: Row) => void;
    readonly nameOf: (row: Row) => string;
  };
  /** Called when the end comes into sight. */
  readonly onEnd?: () => void;
  /** What stands below the last row. */
  readonly foot?: ReactNode;
}

const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { basic: sortFn_basic },
});

/**
 * A list of any length. Only the rows in sight are there; all are of one height, so nothing jumps when one changes. Arrows or j and k go along, Enter
 * opens, x or Space selects.
 */
export function DataTable<Row extends object>(options: Options<Row>) {
  const { label, columns, rows, keyOf, onOpen, selection, onEnd, foot } = options;
  const id = useId();
  const scroller = useRef<HTMLDivElement>(null);
  const width = useWidth(scroller);
  const shown = useMemo(() => columns.filter(({ from = 0 }) => from <= width), [columns, width]);
  const table = useRows(rows, shown, keyOf);
  const ordered = table.getRowModel().rows;
  const [active, setActive] = useState(0);
  const current = Math.min(active, ordered.length - 1);
  const virtual = useVirtualizer({
    count: ordered.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const lastSeen = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (ordered.length > 0 && lastSeen >= ordered.length - 20) onEnd?.();
  }, [lastSeen, ordered.length, onEnd]);
  const template = `${selection === undefined ? '' : '2rem '}${shown.map(({ width: one }) => one).join(' ')}`;
  const go = (to: number) => {
    const next = Math.max(0, Math.min(ordered.length - 1, to));
    setActive(next);
    virtual.scrollToIndex(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = ordered[current]?.original;
    const act = keyAct(event.key, { go, current, count: ordered.length });
    if (act !== undefined) act();
    else if (event.key === 'Enter' && row !== undefined) onOpen?.(row);
    else if ((event.key === 'x' || event.key === ' ') && row !== undefined) selection?.toggle(row);
    else return;
    event.preventDefault();
  };
  return (
    <div ref={scroller} className="min-h-0 grow overflow-auto rounded-lg border border-line bg-surface">
      <div
        role="grid"
        aria-label={label}
        aria-rowcount={ordered.length + 1}
        aria-multiselectable={selection === undefined ? undefined : true}
        aria-activedescendant={ordered.length === 0 ? undefined : `${id}-${current}`}
        tabIndex={0}
        onKeyDown={onKeyDown}
        className="min-w-full -outline-offset-2"
      >
        <TableHead table={table} columns={shown} template={template} hasSelection={selection !== undefined} />
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {items.map(({ index, start }) => {
            const row = ordered[index];
            if (row === undefined) return null;
            return (
              <TableRow
                key={row.id}
                domId={`${id}-${index}`}
                {...{
                  index,
                  start,
                  template,
                  columns: shown,
                  row: row.original,
                  isActive: index === current,
                  rowKey: row.id,
                }}
                selection={selection}
                onPick={() => {
                  setActive(index);
                  onOpen?.(row.original);
                }}
              />
            );
          })}
        </div>
      </div>
      {foot}
    </div>
  );
}

/** The rows in the order that somebody asked for. */
function useRows<Row extends object>(
  rows: readonly Row[],
  columns: readonly TableColumn<Row>[],
  keyOf: (row: Row) => string,
) {
  const definitions = useMemo(() => {
    const helper = createColumnHelper<typeof features, Row>();
    return columns.map((column) =>
      helper.accessor((row: Row): unknown => column.sortBy?.(row) ?? '', {
        id: column.id,
        header: column.header,
        sortFn: 'basic',
        enableSorting: column.sortBy !== undefined,
      }),
    );
  }, [columns]);
  return useTable({ features, columns: definitions, data: rows, getRowId: keyOf });
}

type TableOf<Row extends object> = ReturnType<typeof useRows<Row>>;

function TableHead<Row extends object>({
  table,
  columns,
  template,
  hasSelection,
}: {
  readonly table: TableOf<Row>;
  readonly columns: readonly TableColumn<Row>[];
  readonly template: string;
  readonly hasSelection: boolean;
}) {
  return (
    <div role="rowgroup" className="sticky top-0 z-10 border-b border-line bg-surface">
      <div
        role="row"
        aria-rowindex={1}
        className="grid items-center gap-3 px-3 text-xs text-soft"
        style={{ gridTemplateColumns: template, height: HEAD_PX }}
      >
        {hasSelection ? (
          <span role="columnheader">
            <span className="sr-only">Selected</span>
          </span>
        ) : null}
        {table.getFlatHeaders().map((header, at) => {
          const order = header.column.getIsSorted();
          return (
            <span
              key={header.id}
              role="columnheader"
              aria-sort={order === false ? 'none' : order === 'asc' ? 'ascending' : 'descending'}
              className={columns[at]?.align === 'right' ? 'text-right' : ''}
            >
              {header.column.getCanSort() ? (
                <button
                  type="button"
                  tabIndex={-1}
                  className="inline-flex items-center gap-1 font-medium hover:text-ink"
                  onClick={() => header.column.toggleSorting()}
                >
                  {columns[at]?.header}
                  {order === false ? null : <Icon name={order === 'asc' ? 'up' : 'down'} />}
                </button>
              ) : (
                <span className="font-medium">{columns[at]?.header}</span>
              )}
            </span>
          );
        })}
      </div>
    </div>
  );
}

function TableRow<Row extends object>({
  domId,
  index,
  start,
  template,
  columns,
  row,
  rowKey,
  isActive,
  selection,
  onPick,
}: {
  readonly domId: string;
  readonly index: number;
  readonly start: number;
  readonly template: string;
  readonly columns: readonly TableColumn<Row>[];
  readonly row: Row;
  readonly rowKey: string;
  readonly isActive: boolean;
  readonly selection: Options<Row>['selection'];
  readonly onPick: () => void;
}) {
  const isSelected = selection?.has(rowKey) === true;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid around it takes the keys of its active row
    <div
      role="row"
      id={domId}
      aria-rowindex={index + 2}
      aria-selected={selection === undefined ? undefined : isSelected}
      onClick={onPick}
      className={`absolute grid w-full cursor-pointer items-center gap-3 border-b border-line/60 px-3 text-sm hover:bg-hover ${isSelected ? 'bg-selected' : ''} ${isActive ? 'shadow-[inset_3px_0_0_var(--color-accent)]' : ''}`}
      style={{ gridTemplateColumns: template, height: ROW_PX, transform: `translateY(${start}px)` }}
    >
      {selection === undefined ? null : (
        <span role="gridcell">
          <input
            type="checkbox"
            tabIndex={-1}
            checked={isSelected}
            aria-label={`Select ${selection.nameOf(row)}`}
            onClick={(event) => event.stopPropagation()}
            onChange={() => selection.toggle(row)}
            className="size-4 accent-accent"
          />
        </span>
      )}
      {columns.map((column) => (
        <span
          key={column.id}
          role="gridcell"
          className={`min-w-0 truncate ${column.align === 'right' ? 'text-right tabular-nums' : ''}`}
        >
          {column.cell(row)}
        </span>
      ))}
    </div>
  );
}

function keyAct(
  key: string,
  { go, current, count }: { go: (to: number) => void; current: number; count: number },
): (() => void) | undefined {
  const to = {
    ...{ ArrowDown: current + 1, j: current + 1, ArrowUp: current - 1, k: current - 1 },
    ...{ PageDown: current + 15, PageUp: current - 15, Home: 0, End: count - 1 },
  }[key];
  return to === undefined ? undefined : () => go(to);
}

function useWidth(of: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(() => window.innerWidth);
  useEffect(() => {
    if (of.current === null) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.round(entry?.contentRect.width ?? 0)));
    observer.observe(of.current);
    return () => observer.disconnect();
  }, [of]);
  return width;
}

const ROW_PX = 44;
const HEAD_PX = 34;
