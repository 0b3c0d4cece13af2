/** How what needs an approval looks to a PostgreSQL client, and its statements to people. */

import type { Hold } from '../../../../approvals/hold.ts';
import type { HoldRefused } from '../../../../approvals/pipeline-holds.ts';
import type { Shown, ShownValue } from '../../../../approvals/subject.ts';
import type { Pipeline } from '../../../../sessions/pipeline.ts';
import { ledgerText } from '../../refusal.ts';
import type { Refusal, Run, StatementPlan } from '../../sql/index.ts';
import type { Conversation } from '../conversation.ts';
import { operationOf } from '../operations.ts';
import type { Portal } from '../replies.ts';

/** What a client said of the statements at hand, as it goes to the target. */
export interface SaidStatement {
  readonly text: string;
  readonly parameters: readonly (Buffer | null)[];
  readonly formats?: readonly number[];
  readonly boundBytes?: number;
  /** Of an Execute. */
  readonly portal?: Portal;
}

/** Of a text without values. */
export function saidIn(text: string): SaidStatement {
  return { text, parameters: [] };
}

export function saidOf(portal: Portal): SaidStatement {
  const { prepared, parameters, formats, boundBytes } = portal;
  return { text: prepared.sent, parameters, formats, boundBytes, portal };
}

/** Holds the message at hand until people have answered: with its values, at the moment it would be executed, and nothing but it. */
export class Holding {
  readonly #session: Conversation;
  readonly #pipeline: Pipeline;
  /** Of the message at hand. */
  #hold: Hold | undefined;
  /** The portal whose further rows its approval is for as well. */
  readonly #approvals = new WeakMap<Portal, Hold>();

  constructor(session: Conversation, pipeline: Pipeline) {
    this.#session = session;
    this.#pipeline = pipeline;
  }

  /** Undefined: they may begin. A promise: they wait; then all of it is asked anew. */
  ask(runs: readonly Run[], said: SaidStatement): Refusal | Promise<void> | undefined {
    if (runs.every(({ plan }) => plan.judged.approvals.length === 0) && !this.#pipeline.isHolding) return undefined;
    const { portal } = said;
    // An Execute of it was answered, so its statement has run: what comes are more of its rows.
    const continued = this.#hold === undefined && portal?.hasRun === true ? this.#approvals.get(portal) : undefined;
    const plans = runs.map(({ plan }) => plan);
    const held = {
      operations: runs.map(({ plan, statements }) => operationOf(plan, { ...said, statements })),
      content: { text: this.#wholeText(plans, said.text), values: said.parameters, formats: said.formats ?? [] },
      shown: () => this.#shown(plans, said),
    };
    const asked =
      continued === undefined
        ? this.#pipeline.hold(held, this.#hold)
        : this.#pipeline.hold(held, continued, { continues: true });
    if (asked instanceof Promise)
      return asked.then((hold) => {
        this.#hold = hold;
      });
    if (asked !== undefined) return refusalOf(asked, plans);
    if (portal !== undefined && this.#hold !== undefined) this.#approvals.set(portal, this.#hold);
    return undefined;
  }

  /** The message at hand was dealt with. */
  next(): void {
    this.#hold = undefined;
  }

  /** With what a name in it stands for: `EXECUTE purge(7)` says little. */
  #wholeText(plans: readonly StatementPlan[], text: string): string {
    const named = plans.flatMap(({ reads }) => {
      const { prepared, cursor } = reads ?? {};
      const statement = prepared === undefined ? undefined : this.#session.facts.prepared.get(prepared);
      const portal = cursor === undefined ? undefined : this.#session.portals.confirmedOnes.get(cursor.name);
      return [
        ...(statement === undefined ? [] : [`-- ${prepared}: ${statement.text}`]),
        ...(portal === undefined ? [] : [`-- ${cursor?.name}: ${portal.prepared.text}`]),
      ];
    });
    return [text, ...named].join('\n');
  }

  #shown(plans: readonly StatementPlan[], said: SaidStatement): Shown {
    const touches = plans.flatMap((plan) => plan.touches);
    const objects = touches.map(({ action, resource }) => `${action} ${resource}`);
    const [first] = objects;
    // Its text carries a password.
    const isSecret = plans.some(({ record }) => record === 'nothing');
    return {
      title:
        first === undefined
          ? `${plans[0]?.kind ?? 'a statement'}`
          : plans
              .map(({ kind }) => kind)
              .join(', ')
              .concat(`: ${first}`),
      text: isSecret ? '(not shown: it carries a password)' : this.#wholeText(plans, said.text),
      parameters: isSecret ? [] : valuesOf(said),
      objects,
      columns: plans.flatMap(({ judged }) =>
        judged.asked.flatMap(({ question }) => columnsOf(question.context['columns'])),
      ),
    };
  }
}

function columnsOf(columns: unknown): string[] {
  return Array.isArray(columns) ? columns.map(String) : [];
}

function valuesOf({ parameters, formats = [], portal }: SaidStatement): ShownValue[] {
  const types = portal?.prepared.parameterTypes ?? [];
  return parameters.map((value, i) => {
    const isBinary = (formats.length === 1 ? formats[0] : formats[i]) === 1;
    const text =
      value && (isBinary ? binaryText(value, types[i] ?? 0) : (portal?.read(value) ?? value.toString('utf8')));
    return { name: `$${i + 1}`, value: text };
  });
}

/** As PostgreSQL would write it, of the types that drivers send so; else its bytes. */
function binaryText(value: Buffer, type: number): string {
  switch (`${type}:${value.length}`) {
    case '16:1':
      return value[0] === 0 ? 'false' : 'true';
    case '21:2':
      return String(value.readInt16BE());
    case '23:4':
      return String(value.readInt32BE());
    case '20:8':
      return String(value.readBigInt64BE());
    case '700:4':
      return String(value.readFloatBE());
    case '701:8':
      return String(value.readDoubleBE());
    default:
      return TEXTS.has(type) ? value.toString('utf8') : `\\x${value.subarray(0, BYTES_SHOWN_MAX).toString('hex')}`;
  }
}

function refusalOf(refused: HoldRefused, statements: readonly StatementPlan[]): Refusal {
  const { kind, reason, what, hint, policies, held } = refused;
  const common = { verdict: 'refuse', reason, policies, statements, held } as const;
  if (kind === 'unrecorded') {
    const { sqlstate, message } = ledgerText('ERROR', refused.error);
    return { ...common, sqlstate, message };
  }
  return { ...common, sqlstate: SQLSTATES[kind] ?? QUERY_CANCELED, message: MESSAGES[kind] ?? what, hint };
}

const QUERY_CANCELED = '57014';
const SQLSTATES: { readonly [kind in HoldRefused['kind']]?: string } = {
  ...{ needed: '42501', denied: '42501', 'no-rule': '42501', unproven: '42501' },
  ...{ 'too-many': '53400', unavailable: '58000' },
};
/** As PostgreSQL itself says it: drivers go by these. */
const MESSAGES: { readonly [kind in HoldRefused['kind']]?: string } = {
  cancelled: 'canceling statement due to user request',
  timeout: 'canceling statement due to statement timeout',
};
/** OIDs of text, varchar, bpchar, name, json, xml and unknown. */
const TEXTS: ReadonlySet<number> = new Set([25, 1043, 1042, 19, 114, 142, 705]);
const BYTES_SHOWN_MAX = 128;
