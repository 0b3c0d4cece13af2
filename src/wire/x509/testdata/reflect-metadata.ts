// The decorators of @peculiar/x509, an oracle in the tests, need metadata on Reflect; this is as much of it as they use.

const store = new WeakMap<object, Map<unknown, unknown>>();

function define(key: unknown, value: unknown, target: object): void {
  const known = store.get(target) ?? new Map<unknown, unknown>();
  store.set(target, known.set(key, value));
}

function find(key: unknown, target: object | null): unknown {
  for (let at = target; at; at = Object.getPrototypeOf(at)) if (store.get(at)?.has(key)) return store.get(at)?.get(key);
  return undefined;
}

Object.assign(Reflect, {
  defineMetadata: define,
  getMetadata: find,
  getOwnMetadata: (key: unknown, target: object) => store.get(target)?.get(key),
  hasMetadata: (key: unknown, target: object) => find(key, target) !== undefined,
  hasOwnMetadata: (key: unknown, target: object) => store.get(target)?.has(key) ?? false,
  metadata: (key: unknown, value: unknown) => (target: object) => define(key, value, target),
});

export {};
