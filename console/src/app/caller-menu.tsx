import { Menu } from '@base-ui/react/menu';
import { problemOf, signOut, useCall } from '../api/index.ts';
import { Icon, type Theme, theme, toast } from '../ui/index.ts';

/** Who one is to the server, and how the page looks. */
export function CallerMenu() {
  const { data } = useCall('caller.get', {}, { staleMs: 60_000 });
  const chosen = theme.use();
  const leave = () => {
    signOut().catch((error: unknown) => {
      const { title, remedy } = problemOf(error);
      toast(`You are still signed in: ${title}`, { description: remedy, tone: 'danger' });
    });
  };
  const name = data?.person?.email ?? data?.person?.subject ?? data?.name ?? 'Who you are';
  return (
    <Menu.Root>
      <Menu.Trigger className="flex min-w-0 items-center gap-1.5 rounded-md px-2 py-1.5 text-sm text-soft hover:bg-hover hover:text-ink">
        <Icon name="user" />
        <span className="sr-only max-w-28 truncate md:not-sr-only">{name}</span>
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner side="top" align="start" sideOffset={6} className="z-50">
          <Menu.Popup className="w-64 rounded-md border border-line bg-raised py-1 text-sm shadow-lg">
            <div className="px-3 py-2">
              <p className="font-medium break-words">{name}</p>
              <p className="text-xs break-words text-soft">
                {data?.person === undefined ? data?.kind : `by ${data.person.issuer}`}
              </p>
            </div>
            <Menu.RadioGroup
              value={chosen}
              onValueChange={(value: Theme) => theme.set(value)}
              className="border-y border-line py-1"
            >
              {THEMES.map(([value, word, icon]) => (
                <Menu.RadioItem key={value} value={value} closeOnClick={false} className={ITEM}>
                  <Icon name={icon} />
                  <span className="grow">{word}</span>
                  <Menu.RadioItemIndicator>
                    <Icon name="check" />
                  </Menu.RadioItemIndicator>
                </Menu.RadioItem>
              ))}
            </Menu.RadioGroup>
            <Menu.Item className={`${ITEM} mt-1`} onClick={leave}>
              Sign out
            </Menu.Item>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}

const ITEM = 'flex cursor-pointer items-center gap-2 px-3 py-1.5 outline-none data-highlighted:bg-hover';
const THEMES = [
  ['system', 'As the system', 'system'],
  ['light', 'Light', 'sun'],
  ['dark', 'Dark', 'moon'],
] as const;
