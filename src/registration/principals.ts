import type { SpiffeId } from '@countersign/sdk/identity';
import {
  agreedAttributes,
  attributesText,
  type Entry,
  hasAttributes,
  type IdentityAttributes,
  NO_ATTRIBUTES,
} from '../model/index.ts';
import { createListeners } from '../std/index.ts';
import type { EntryChange } from './entry-index.ts';

/** What changed since a revision; `whole`: all identities that have attributes, since it is too long ago. */
export interface PrincipalChanges {
  readonly revision: number;
  readonly whole: boolean;
  /** By SPIFFE ID; without attributes: it has none any more. */
  readonly changes: ReadonlyMap<string, IdentityAttributes>;
}

/** The attributes of identities: those on which all entries of one agree. */
export interface Principals {
  /** Grows with every change of them; the same on every server of one store. */
  revision(): number;
  since(revision: number | undefined): PrincipalChanges;
  onChange(listener: () => void): () => void;
}

/** Principals as the entries in memory make them. `failed` is told of what listeners throw. */
export function createPrincipals(failed: (error: unknown) => void) {
  const listeners = createListeners(failed);
  let current = new Map<string, IdentityAttributes>();
  let revision = 0;
  /** In order of revision. */
  let log: { readonly revision: number; readonly uri: string }[] = [];
  let forgottenThrough = 0;

  const note = (id: SpiffeId, entries: Iterable<Entry>, at: number): boolean => {
    const after = agreedAttributes(Array.from(entries, ({ attributes }) => attributes));
    const before = current.get(id.uri) ?? NO_ATTRIBUTES;
    if (before === after || attributesText(before) === attributesText(after)) return false;
    if (hasAttributes(after)) current.set(id.uri, after);
    else current.delete(id.uri);
    log.push({ revision: at, uri: id.uri });
    return true;
  };

  const principals: Principals = {
    revision: () => revision,
    since(known) {
      if (known === undefined || known < forgottenThrough || known > revision) {
        return { revision, whole: true, changes: new Map(current) };
      }
      const changes = new Map<string, IdentityAttributes>();
      for (let place = log.length - 1; place >= 0; place--) {
        const one = log[place];
        if (one === undefined || one.revision <= known) break;
        changes.set(one.uri, current.get(one.uri) ?? NO_ATTRIBUTES);
      }
      return { revision, whole: false, changes };
    },
    onChange: listeners.add,
  };
  return {
    principals,
    loaded(all: readonly Entry[], at: number): void {
      const byIdentity = new Map<string, IdentityAttributes[]>();
      for (const { spiffeId, attributes } of all) {
        const known = byIdentity.get(spiffeId.uri);
        if (known === undefined) byIdentity.set(spiffeId.uri, [attributes]);
        else known.push(attributes);
      }
      current = new Map();
      for (const [uri, attributes] of byIdentity) {
        const agreed = agreedAttributes(attributes);
        if (hasAttributes(agreed)) current.set(uri, agreed);
      }
      revision = at;
      log = [];
      forgottenThrough = at;
      listeners.tell();
    },
    /** `entriesOf` gives those of an identity as they are after all of the changes. */
    changed(changes: readonly EntryChange[], entriesOf: (id: SpiffeId) => Iterable<Entry>, at: number): void {
      const concerned = new Map<string, SpiffeId>();
      for (const { before, after } of changes) {
        if (before?.attributes === after?.attributes && before?.spiffeId.uri === after?.spiffeId.uri) continue;
        for (const id of [before?.spiffeId, after?.spiffeId]) if (id !== undefined) concerned.set(id.uri, id);
      }
      let isChanged = false;
      for (const id of concerned.values()) isChanged = note(id, entriesOf(id), at) || isChanged;
      if (!isChanged) return;
      revision = at;
      if (log.length > CHANGES_KEPT * 2) {
        forgottenThrough = log.at(-CHANGES_KEPT - 1)?.revision ?? at;
        log = log.filter((one) => one.revision > forgottenThrough);
      }
      listeners.tell();
    },
  };
}

/** A stream that missed more is told all of them anew. */
const CHANGES_KEPT = 10_000;
