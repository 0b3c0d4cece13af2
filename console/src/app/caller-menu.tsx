import { Dialog } from '@base-ui/react/dialog';
import { problemOf, signOut, useCall } from '../api/index.ts';
import { Button, Facts, Icon, IconButton, Mono, type Theme, theme, timeStyle, toast } from '../ui/index.ts';

/** Who one is to the server, and how the page looks. */
export function CallerMenu() {
  const { data } = useCall('caller.get', {}, { staleMs: 60_000 });
  const leave = () => {
    signOut().catch((error: unknown) => {
      const { title, remedy } = problemOf(error);
      toast(`You are still signed in: ${title}`, { description: remedy, tone: 'danger' });
    });
  };
  const person = data?.person;
  const name = person?.email ?? person?.subject ?? data?.name ?? 'Who you are';
  return (
    <Dialog.Root>
      <Dialog.Trigger
        aria-label={`${name}: who you are, and how this looks`}
        className="flex min-w-0 items-center gap-1.5 rounded-md px-2 py-1.5 text-sm text-soft hover:bg-hover hover:text-ink"
      >
        <Icon name="user" />
        <span className="hidden max-w-24 truncate md:inline">{name}</span>
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-50 bg-shade" />
        <Dialog.Popup className="fixed top-[10vh] left-1/2 z-50 flex w-[min(26rem,calc(100vw-1rem))] -translate-x-1/2 flex-col gap-4 rounded-lg border border-line bg-raised p-4 shadow-2xl">
          <div className="flex items-center">
            <Dialog.Title className="grow text-base">You</Dialog.Title>
            <Dialog.Close render={<IconButton icon="close" label="Close" />} />
          </div>
          <Facts
            of={[
              ['Name', <Mono wrap>{name}</Mono>],
              ['Vouched for by', person === undefined ? undefined : <Mono wrap>{person.issuer}</Mono>],
              ['Groups', person === undefined || person.groups.length === 0 ? undefined : person.groups.join(', ')],
              ['In the record', data === undefined ? undefined : <Mono wrap>{data.name}</Mono>],
            ]}
          />
          <Choice name="Looks" value={theme.use()} of={THEMES} onChoose={(value: Theme) => theme.set(value)} />
          <Choice name="Times" value={timeStyle.use()} of={TIMES} onChoose={timeStyle.set} />
          <Button onClick={leave}>Sign out</Button>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Choice<Value extends string>({
  name,
  value,
  of,
  onChoose,
}: {
  readonly name: string;
  readonly value: Value;
  readonly of: readonly (readonly [value: Value, word: string])[];
  readonly onChoose: (value: Value) => void;
}) {
  return (
    <fieldset className="flex flex-wrap items-center gap-x-4 gap-y-1 text-sm">
      <legend className="mb-1 text-xs font-medium text-soft">{name}</legend>
      {of.map(([one, word]) => (
        <label key={one} className="flex items-center gap-1.5">
          <input
            type="radio"
            name={name}
            checked={one === value}
            onChange={() => onChoose(one)}
            className="accent-accent"
          />
          {word}
        </label>
      ))}
    </fieldset>
  );
}

const THEMES = [
  ['system', 'as the system'],
  ['light', 'light'],
  ['dark', 'dark'],
] as const;
const TIMES = [
  ['relative', 'how long ago'],
  ['absolute', 'as they are'],
] as const;
