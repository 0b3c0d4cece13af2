import { formatRelative, formatTime } from './format.ts';
import { useNow } from './now.ts';
import { createSetting } from './setting.ts';

/** Whether times are shown as how long ago they are, or as they are. */
export const timeStyle = createSetting('times', ['relative', 'absolute']);

/** A time; the other way of saying it is its title. Its width does not change with each second. */
export function Time({ at }: { readonly at: number | string }) {
  const nowMs = useNow();
  const style = timeStyle.use();
  const ms = typeof at === 'number' ? at : Date.parse(at);
  if (!Number.isFinite(ms)) return <span className="text-soft">unknown</span>;
  const absolute = formatTime(ms);
  const relative = formatRelative(ms, nowMs);
  return (
    <time
      dateTime={new Date(ms).toISOString()}
      title={style === 'relative' ? absolute : relative}
      className="whitespace-nowrap tabular-nums"
    >
      {style === 'relative' ? relative : absolute}
    </time>
  );
}
