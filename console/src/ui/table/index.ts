/** Long lists. A door of their own, so that what they stand on is loaded with the first page that has one. */
export { DataTable, type TableColumn } from './data-table.tsx';
