import { useSyncExternalStore } from 'react';

/** What somebody prefers, kept by their browser. */
export interface Setting<Value extends string> {
  readonly value: () => Value;
  readonly set: (value: Value) => void;
  readonly use: () => Value;
}

/** Creates one; the first value holds until another is chosen. What the browser has kept and is none of them is not taken. */
export function createSetting<Value extends string>(
  name: string,
  values: readonly [Value, ...Value[]],
  changed: (value: Value) => void = () => {},
): Setting<Value> {
  const listeners = new Set<() => void>();
  const read = (): Value => {
    const kept = attempt(() => localStorage.getItem(`countersign.${name}`));
    return values.find((one) => one === kept) ?? values[0];
  };
  let now = read();
  return {
    value: () => now,
    set(value) {
      now = value;
      attempt(() => localStorage.setItem(`countersign.${name}`, value));
      changed(value);
      for (const listener of listeners) listener();
    },
    use: () =>
      useSyncExternalStore(
        (listener) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
        () => now,
      ),
  };
}

/** A browser may keep nothing at all; then it holds until the page is left. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
