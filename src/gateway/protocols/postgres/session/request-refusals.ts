/** What the requests direction answers by itself. */
import { Frontend } from '../../../../wire/postgres/index.ts';
import type { Refusal } from '../sql/index.ts';
import { messageBytesMax } from './conversation.ts';
import type { UnreadableProblem } from './encoding-in-force.ts';

export function refusalOf(sqlstate: string, reason: Refusal['reason'], message: string): Refusal {
  return { verdict: 'refuse', sqlstate, reason, message, policies: [], statements: [] };
}

export const MASKED_IN_UTF8 =
  'columns are masked for you, so answers come in UTF8 only: an error would tell which values another encoding lacks';
export const UNSETTLED: UnreadableProblem = {
  sqlstate: '0A000',
  message: 'a text beyond ASCII right behind a change of client_encoding comes after a Sync through the gateway',
};
const NAME_BYTES_MAX = 63;
export const CUT_SHORT_MESSAGE = `a name of a statement or portal has at most ${NAME_BYTES_MAX} bytes`;
/** A pool that hears it makes a new connection. */
export const OUTDATED = {
  severity: 'FATAL',
  sqlstate: '57P01',
  message: 'the search path of the login was changed when this connection was young; connect again',
} as const;
export const MEANT_OTHER_MESSAGE = 'the name that this portal reads by means something else than when it was bound';
export const OWN_TYPES = refusalOf(
  '42501',
  'unproven-operator',
  'with parameters of this type an operator runs a function that is not proven harmless while columns are masked',
);
/** Drivers prepare anew for this SQLSTATE. */
export const OTHER_MASKS = refusalOf(
  '26000',
  'masked-column-use',
  'which columns read as NULL in this statement has changed since it was prepared: prepare it again',
);
/** Longer messages of that type are refused, and the connection stays. */
export function keptBytesMax(type: number, textBytesMax: number): number | undefined {
  if (type === Frontend.query || type === Frontend.parse) return textBytesMax;
  return type === Frontend.bind || type === Frontend.functionCall ? messageBytesMax : undefined;
}

export const VALUES_TOO_LONG: Refusal = {
  ...refusalOf('54000', 'text-too-long', `the values of one message have at most ${messageBytesMax} bytes here`),
  hint: 'Send longer values by COPY, which has no such limit, or in parts.',
};
export const TEXT_HINT = 'Send it in parts, or bulk data by COPY; or raise limits.textBytes of the target.';
export const FUNCTION_CALL_MESSAGE =
  'of function calls outside of SQL (fastpath) only those of large objects are served; call it by SELECT';

/** PostgreSQL keeps the first 63 bytes of a name: two longer ones could be one statement to it and two to us. */
export function isCutShort(name: string): boolean {
  return Buffer.byteLength(name) > NAME_BYTES_MAX;
}
