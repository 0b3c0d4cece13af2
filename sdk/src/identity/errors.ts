/** What can be wrong with a text that should be an identity. */
export const errorTable = {
  ERR_SPIFFE_ID: {
    status: 400,
    exit: 'usage',
    meaning: 'A text is no SPIFFE ID, or none that is allowed there.',
    remedy: 'Write spiffe://trust-domain/path with the characters that the message names.',
  },
  ERR_TRUST_DOMAIN: {
    status: 400,
    exit: 'usage',
    meaning: 'A text is no trust domain.',
    remedy: 'Use 1 to 255 of a-z, 0-9, dot, dash and underscore, without a scheme.',
  },
} as const;

/** Why a text is no identity. The message never repeats more than the part at fault. */
export class IdentityError extends Error {
  readonly code: keyof typeof errorTable;

  constructor(code: keyof typeof errorTable, message: string) {
    super(message);
    this.name = 'IdentityError';
    this.code = code;
  }
}
