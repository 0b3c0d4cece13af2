import { useEffect, useRef, useSyncExternalStore } from 'react';
import { createSetting } from './setting.ts';

/** A key, or several one after the other (`g s`), and what it does. `Mod` is Ctrl, or Command on a Mac. */
export interface Shortcut {
  readonly keys: string;
  readonly title: string;
  readonly run: () => void;
  /** Also while a dialog is open. */
  readonly inDialogs?: boolean;
}

/** Keys without Ctrl can be turned off: whoever speaks to their computer sets them off by words. @see WCAG 2.2, 2.1.4 */
export const singleKeys = createSetting('single-keys', ['on', 'off']);

/** Does it for as long as what calls this is on the page; the help of the keyboard lists it. */
export function useShortcut(
  keys: string,
  title: string,
  run: () => void,
  options: { inDialogs?: boolean; enabled?: boolean } = {},
): void {
  const { inDialogs = false, enabled = true } = options;
  const newest = useRef(run);
  useEffect(() => {
    newest.current = run;
  });
  useEffect(() => {
    if (!enabled) return;
    return shortcuts.add({ keys, title, inDialogs, run: () => newest.current() });
  }, [keys, title, inDialogs, enabled]);
}

/** All of the page. */
export const shortcuts = {
  add(shortcut: Shortcut): () => void {
    all = [...all, shortcut];
    tell();
    return () => {
      all = all.filter((one) => one !== shortcut);
      tell();
    };
  },
  use: (): readonly Shortcut[] => useSyncExternalStore(subscribe, () => all),
  /** Listens to the keyboard; what is returned ends it. */
  listen(): () => void {
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  },
};

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || event.altKey) return;
  const hasMod = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!hasMod && (singleKeys.value() === 'off' || isTyping(event.target))) return;
  if (hasMod) {
    run(`Mod+${key}`, event);
    return;
  }
  const before = event.timeStamp - last.at < SEQUENCE_MS ? last.key : '';
  last = { key, at: event.timeStamp };
  if (before !== '' && run(`${before} ${key}`, event)) {
    last = { key: '', at: 0 };
    return;
  }
  run(key, event);
}

function run(keys: string, event: KeyboardEvent): boolean {
  const isInDialog = document.querySelector('[role="dialog"], [role="alertdialog"], [role="menu"]') !== null;
  // Of several with one key the one that came last: it is nearest to what is looked at.
  const found = all.findLast((one) => one.keys === keys && (!isInDialog || one.inDialogs === true));
  if (found === undefined) return false;
  event.preventDefault();
  found.run();
  return true;
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(): void {
  for (const listener of listeners) listener();
}

let all: readonly Shortcut[] = [];
let last = { key: '', at: 0 };
const listeners = new Set<() => void>();
const SEQUENCE_MS = 1000;
