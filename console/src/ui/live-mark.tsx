/** How fresh what is shown is. */
export function LiveMark({ state }: { readonly state: 'off' | 'connecting' | 'live' | 'paused' | 'lost' }) {
  const [dot, word] = MARKS[state];
  return (
    <span role="status" className="inline-flex items-center gap-1.5 text-xs whitespace-nowrap text-soft">
      <span aria-hidden="true" className={`size-2 rounded-full ${dot}`} />
      {word}
    </span>
  );
}

const MARKS = {
  off: ['bg-edge', 'not followed'],
  connecting: ['bg-warn', 'connecting'],
  live: ['bg-good', 'live'],
  paused: ['bg-edge', 'paused'],
  lost: ['bg-danger', 'lost, trying again'],
} as const;
