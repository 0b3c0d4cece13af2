import type { Static, TObject } from 'typebox';
import type { LedgerEvent } from '../model/index.ts';
import type { Principal } from './principal.ts';

/** The verbs of HTTP that endpoints use. */
export type EndpointMethod = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** What an act is done to, as policy sees it: the short name of an entity type of `Countersign::`, and its id. */
export interface EndpointResource {
  readonly type:
    | 'System'
    | 'DeclaredTarget'
    | 'DeclaredPolicy'
    | 'DeclaredResource'
    | 'Entry'
    | 'Gateway'
    | QuestionType;
  /** Empty of the system as a whole, and of a question about many things. */
  readonly id: string;
  /** Of such a question, or of one thing: what all that it finds has in common. What is not named is left open. */
  readonly narrowed?: Narrowed;
}

/** Questions about many things: what policy sees of them is what they are narrowed to. */
export type QuestionType = 'Records' | 'Sessions' | 'Entries' | 'Approvals';

/** What all that a question finds has: exactly that target, exactly that identity, or one below a path. Empty texts narrow nothing. */
export interface Narrowed {
  readonly target?: string | undefined;
  /** A SPIFFE ID, or the path of one in the server's trust domain. */
  readonly identity?: string | undefined;
  /** How the identities begin: as `identity`, up to a `/`. Nothing beside an `identity`. */
  readonly identityWithin?: string | undefined;
  /** Of one entry: all that it says of its identity. */
  readonly said?:
    | { readonly owner: string; readonly environment: string; readonly labels: Readonly<Record<string, string>> }
    | undefined;
}

/** What is found of an act that is refused without knowing more: what it is done to, one by one, and the act as far as that is there. */
export interface FoundSubjects<Input> {
  readonly input: Input;
  readonly subjects: readonly Narrowed[];
}

/** What an act leaves in the ledger, before and after it is done. No secret may be in it. */
export interface EndpointAudit {
  /** The word for the act, the same as that of the gRPC method which does the same. */
  readonly as: string;
  readonly target: string;
  of?(input: never): AuditDetails;
}

/** What is said of one act: `detail` before it is done, `outcome` after. */
export interface AuditDetails {
  readonly detail: LedgerEvent['detail'];
  readonly outcome: (output: never) => LedgerEvent['detail'];
}

/** What a handler knows of the call that it serves. */
export interface EndpointCall {
  readonly principal: Principal;
  /** Aborts when the caller is gone, its time is over, or the server stops. */
  readonly signal: AbortSignal;
  /** The tag that the caller saw last (`If-Match`); undefined: it does not say. */
  readonly ifMatch: string | undefined;
}

/** The words of an endpoint: everything but what it does. A table of them makes the document of the API, its client and its routes. */
export interface EndpointWords {
  /** `noun.verb`, unique: `target.list`. */
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** More sentences, for its page. */
  readonly description?: string;
  readonly method: EndpointMethod;
  /** Below `/v1`; names in braces are fields of the input: `/v1/targets/{name}`. */
  readonly path: string;
  /** A closed object. Fields that the path does not name are in the query of a GET or DELETE, else in the body. */
  readonly input: TObject;
  /** What it answers with, or each of its events. */
  readonly output: TObject;
  /** The action that policy is asked about: `countersign:target.list`. */
  readonly action: string;
  /** What policy is asked about: the type of its resource. */
  readonly about: EndpointResource['type'];
  /** Undefined for what only looks. */
  readonly audit: EndpointAudit | undefined;
  /** It answers a page of `items`; the input has `limit` and `cursor`. */
  readonly paged: boolean;
  /** `by-nature`: said twice it does no more than once. `by-key`: an `Idempotency-Key` makes it so. `never`: its answer is a secret, which is kept nowhere. */
  readonly idempotent: 'by-nature' | 'by-key' | 'never';
  /** Its answers go on for as long as the caller listens: events, each an output. */
  readonly live: boolean;
  /** Whether it compares `If-Match` with what is in force. */
  readonly conditional: boolean;
  /** Bytes that its body may have. */
  readonly bodyBytesMax: number;
}

/** One operation that people and machines are offered. `Needs`: the features that its handler works with. */
export interface Endpoint<Needs = never> extends EndpointWords {
  /** Goes by fields of path and query alone: it is asked before a body is read, too. */
  resource(input: never): EndpointResource;
  /** Of what only looks: what was found, for callers of whom it depends on that; then the answer is theirs only if they may see that. */
  answered?(output: never): EndpointResource;
  /** Of an act: what it is done to, for callers of whom it depends on that. Rejects where that can't be known. */
  look?(
    input: never,
    call: EndpointCall,
    needs: Needs,
  ): Promise<{ input: object; resources: readonly EndpointResource[] }>;
  /** What tells one state of the answer from another, for `ETag`; without it the answer's bytes do. */
  tag?(output: never): string;
  /** The answer. Input and output are as the schemas say: whoever calls has checked that. Of a live one nobody calls it. */
  handle(input: never, call: EndpointCall, needs: Needs): Promise<object>;
  /** Of a live one: what is wrong with what is asked it rejects with, before anything is told. */
  follow(input: never, call: FollowCall, needs: Needs): Promise<TellEvents<never>>;
}

/** What the handler of a live endpoint knows besides. */
export interface FollowCall extends EndpointCall {
  /** The id of the event that the caller has seen last. */
  readonly lastEventId: string | undefined;
}

/** Tells of events; resolves when there is nothing more to tell. */
export type TellEvents<Output> = (send: SendEvent<Output>) => Promise<void>;

/** All that the handlers of some endpoints work with. */
export type NeedsOf<Of> = (Of extends Endpoint<infer Needs> ? (needs: Needs) => void : never) extends (
  needs: infer All,
) => void
  ? All
  : never;

/**
 * Tells whoever listens of one event. Resolves when there is room for the next; rejects when nobody listens any more.
 * `id` is what the caller gives back when it comes again (`Last-Event-ID`). Without an event: nothing happened, and that is how far it was told.
 */
export type SendEvent<Output> = (event: Output | undefined, id: string) => Promise<void>;

interface Written<Needs, Input extends TObject, Output extends TObject> {
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly method: EndpointMethod;
  readonly path: string;
  readonly input: Input;
  readonly output: Output;
  readonly action?: string;
  /**
   * `of`: the id, or what the question is narrowed to. `found`: the same, of the answer of what only looks. `look`: the same, of an act, found out before
   * it is done. Both are for who may do it to some and not to others.
   */
  readonly about?:
    | {
        readonly type: Exclude<EndpointResource['type'], QuestionType | 'System'>;
        readonly of: (input: Static<Input>) => string;
        readonly found?: (output: Static<Output>) => Narrowed;
      }
    | {
        readonly type: QuestionType;
        readonly of: (input: Static<Input>) => Narrowed;
        readonly found?: (output: Static<Output>) => Narrowed;
        readonly look?: (
          input: Static<Input>,
          call: EndpointCall,
          needs: Needs,
        ) => Promise<FoundSubjects<Static<Input>>>;
      };
  readonly audit?: {
    readonly as: string;
    readonly target: string;
    readonly of?: (input: Static<Input>) => {
      readonly detail: LedgerEvent['detail'];
      readonly outcome: (output: Static<Output>) => LedgerEvent['detail'];
    };
  };
  readonly paged?: boolean;
  readonly idempotent?: EndpointWords['idempotent'];
  readonly conditional?: boolean;
  readonly bodyBytesMax?: number;
  readonly tag?: (output: Static<Output>) => string;
  readonly handle?: (input: Static<Input>, call: EndpointCall, needs: Needs) => Promise<Told<Static<Output>>>;
  /** Instead of `handle`, for a live one: checks what is asked, and resolves to what tells. */
  readonly follow?: (input: Static<Input>, call: FollowCall, needs: Needs) => Promise<TellEvents<Told<Static<Output>>>>;
}

/** What is told, nobody changes. */
type Told<T> = T extends readonly (infer Item)[]
  ? readonly Told<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: Told<T[K]> }
    : T;

/**
 * Writes an endpoint of handlers that need `Needs`: `const endpoint = endpointsOf<{ resources: Resources }>()`. What is not said: the action is
 * `countersign:` and the name, it is about the system, it is not audited, not paged, idempotent by nature.
 */
export function endpointsOf<Needs>() {
  return <Input extends TObject, Output extends TObject>(written: Written<Needs, Input, Output>): Endpoint<Needs> => {
    const { handle, follow, audit, about, tag, ...words } = written;
    const made = {
      ...words,
      action: written.action ?? `countersign:${written.name}`,
      paged: written.paged ?? false,
      idempotent: written.idempotent ?? 'by-nature',
      conditional: written.conditional ?? false,
      bodyBytesMax: written.bodyBytesMax ?? BODY_BYTES_MAX,
      live: follow !== undefined,
      audit,
      about: about?.type ?? SYSTEM.type,
      resource(input: Static<Input>): EndpointResource {
        if (about === undefined) return SYSTEM;
        const told = about.of(input);
        return typeof told === 'string' ? { type: about.type, id: told } : { type: about.type, id: '', narrowed: told };
      },
      ...settlingOf(about),
      ...(tag === undefined ? {} : { tag }),
      handle: async (input: Static<Input>, call: EndpointCall, needs: Needs) =>
        (await handle?.(input, call, needs)) ?? {},
      follow: async (input: Static<Input>, call: FollowCall, needs: Needs) =>
        (await follow?.(input, call, needs)) ?? (async () => {}),
    };
    // Who calls it holds the input against the very schema that its type is made of.
    return made as unknown as Endpoint<Needs>;
  };
}

/** How it is found out what an act is about, where its input does not tell. */
function settlingOf<Needs, Input extends TObject, Output extends TObject>(
  about: Written<Needs, Input, Output>['about'],
) {
  if (about === undefined) return {};
  const { type, found } = about;
  const look = 'look' in about ? about.look : undefined;
  const resourceOf = (narrowed: Narrowed): EndpointResource => ({ type, id: '', narrowed });
  return {
    ...(found === undefined ? {} : { answered: (output: Static<Output>) => resourceOf(found(output)) }),
    ...(look === undefined
      ? {}
      : {
          look: async (asked: Static<Input>, call: EndpointCall, needs: Needs) => {
            const { input, subjects } = await look(asked, call, needs);
            return { input, resources: subjects.map(resourceOf) };
          },
        }),
  };
}

/** The names in braces of a path. */
export function pathNames(path: string): readonly string[] {
  return Array.from(path.matchAll(/\{([^}]*)\}/g), ([, name]) => name ?? '');
}

const SYSTEM: EndpointResource = { type: 'System', id: '' };
/** A screenful of anything that is filled in by hand; whoever takes more says so. */
export const BODY_BYTES_MAX = 65_536;
