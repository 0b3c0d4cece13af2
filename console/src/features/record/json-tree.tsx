import { Mono } from '../../ui/index.ts';
import { isObject } from './entry.ts';

/** Whatever an entry says, as it says it. */
export function JsonTree({ value, depth = 0 }: { readonly value: unknown; readonly depth?: number }) {
  if (depth > DEPTH_MAX) return <Mono wrap>{JSON.stringify(value)}</Mono>;
  if (Array.isArray(value)) {
    if (value.length === 0) return <span className="text-soft">none</span>;
    if (value.every((one) => typeof one !== 'object')) return <Mono wrap>{value.map(String).join('\n')}</Mono>;
    return (
      <ol className="flex flex-col gap-2">
        {value.map((one, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: an entry never changes
          <li key={index} className="border-l-2 border-line pl-2">
            <JsonTree value={one} depth={depth + 1} />
          </li>
        ))}
      </ol>
    );
  }
  if (!isObject(value)) return <Mono wrap>{String(value)}</Mono>;
  return (
    <dl className="grid grid-cols-[minmax(5rem,max-content)_1fr] gap-x-3 gap-y-0.5 text-sm">
      {Object.entries(value).map(([name, inner]) => (
        <div key={name} className="contents">
          <dt className="max-w-40 text-soft">
            <Mono wrap>{name}</Mono>
          </dt>
          <dd className="min-w-0">
            <JsonTree value={inner} depth={depth + 1} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

const DEPTH_MAX = 12;
