import { useEffect, useRef } from 'react';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatTime } from '../format.ts';
import { theme } from '../theme.ts';

/** How many of something there were, by time. What it shows stands in `label` as well: a picture tells not everybody something. */
export function BarChart({
  label,
  bars,
}: {
  readonly label: string;
  /** Epoch milliseconds of its beginning, and how many. */
  readonly bars: readonly (readonly [ms: number, count: number])[];
}) {
  const place = useRef<HTMLDivElement>(null);
  const chosen = theme.use();
  // biome-ignore lint/correctness/useExhaustiveDependencies: its colours are read anew when the theme changes
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const colour = (name: string) => colourOf(element, `var(--color-${name})`);
    const axis = {
      stroke: colour('soft'),
      grid: { stroke: colour('line'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui',
    };
    const paths = UPlot.paths.bars?.({ size: [0.7, 24] });
    const chart = new UPlot(
      {
        ...{
          width: element.clientWidth,
          height: HEIGHT_PX,
          legend: { show: false },
          cursor: { drag: { x: false, y: false } },
        },
        scales: { y: { range: (_plot, _least, most) => [0, Math.max(4, most)] } },
        axes: [
          { ...axis, values: (_plot, seconds) => seconds.map((one) => formatTime(one * 1000).slice(11, 16)) },
          { ...axis, size: 36, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
        ],
        series: [
          {},
          {
            stroke: colour('danger'),
            fill: colour('danger'),
            ...(paths === undefined ? {} : { paths }),
            points: { show: false },
          },
        ],
      },
      [bars.map(([ms]) => ms / 1000), bars.map(([, count]) => count)],
      element,
    );
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [bars, chosen]);
  return <div ref={place} role="img" aria-label={label} style={{ height: HEIGHT_PX }} />;
}

/** A canvas knows no names of colours. */
function colourOf(element: HTMLElement, value: string): string {
  const before = element.style.color;
  element.style.color = value;
  const { color } = getComputedStyle(element);
  element.style.color = before;
  return color;
}

const HEIGHT_PX = 150;
