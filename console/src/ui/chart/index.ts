/** Charts. A door of their own, so that what draws them is loaded with the first page that has one. */
export { BarChart } from './bar-chart.tsx';
