import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { constantTimeEqual, type Random, type Secret } from '../../std/index.ts';
import type { AuthenticationRequest } from './backend.ts';
import { PostgresWireError } from './errors.ts';
import { encodePassword, encodeSaslInitial, encodeSaslResponse } from './frontend.ts';

/** The client half of logging in to a server: give it each request, send what it answers. */
export interface Authentication {
  /**
   * The bytes to send, or undefined when nothing is to be sent.
   * @throws PostgresWireError ERR_PG_AUTHENTICATION: unsupported, out of order, or the server does not know the password either
   */
  answer(request: AuthenticationRequest): Buffer | undefined;
  /** True once the server said OK and, where it had to prove itself, did. */
  readonly done: boolean;
}

/**
 * Creates the client half. Cleartext and md5 are answered only with `encrypted` (the server behind TLS or a local socket): both
 * give away what a listener could use again.
 * @see RFC 5802, RFC 7677, RFC 5929 §4
 */
export function createAuthentication(options: {
  user: string;
  password: Secret | undefined;
  random: Random;
  encrypted: boolean;
  /** Hash of the server's certificate for tls-server-end-point; undefined without TLS. */
  serverEndPoint: Buffer | undefined;
}): Authentication {
  let scram: ReturnType<typeof createScram> | undefined;
  let done = false;
  const password = (): Secret => {
    if (options.password !== undefined) return options.password;
    throw failure('the server asks for a password and none is configured');
  };
  const encrypted = (method: string) => {
    if (!options.encrypted)
      throw failure(`the server asks for ${method} authentication over an unencrypted connection`);
  };
  return {
    answer(request) {
      if (done) throw failure('the server authenticates twice');
      switch (request.kind) {
        case 'ok':
          // A server that skips its half of SCRAM has not shown that it knows the password: it may be another server.
          if (scram !== undefined && !scram.verified)
            throw failure('the server did not prove that it knows the password');
          done = true;
          return undefined;
        case 'cleartext':
          encrypted('cleartext');
          return encodePassword(password().revealText());
        case 'md5':
          encrypted('md5');
          return encodePassword(md5Password(options.user, password(), request.salt));
        case 'sasl':
          if (scram !== undefined) throw failure('the server starts SASL twice');
          scram = createScram({ ...options, password: password(), mechanisms: request.mechanisms });
          return encodeSaslInitial(scram.mechanism, scram.first());
        case 'sasl-continue':
          if (scram === undefined) throw failure('the server goes on with a SASL exchange that never began');
          return encodeSaslResponse(scram.final(request.data));
        case 'sasl-final':
          if (scram === undefined) throw failure('the server ends a SASL exchange that never began');
          scram.verify(request.data);
          return undefined;
        case 'unsupported':
          throw failure(`the server asks for authentication method ${request.code}, which is not supported`);
      }
    },
    get done() {
      return done;
    },
  };
}

function createScram(options: {
  password: Secret;
  random: Random;
  mechanisms: readonly string[];
  serverEndPoint: Buffer | undefined;
}) {
  const plus = options.serverEndPoint !== undefined && options.mechanisms.includes(SCRAM_PLUS);
  if (!plus && !options.mechanisms.includes(SCRAM)) {
    throw failure(`the server offers ${options.mechanisms.length} SASL mechanisms, none of which is SCRAM-SHA-256`);
  }
  // `y` tells a server that does offer -PLUS that somebody took it off the list: it then refuses.
  const header = plus ? 'p=tls-server-end-point,,' : options.serverEndPoint !== undefined ? 'y,,' : 'n,,';
  const nonce = options.random.bytes(NONCE_BYTES).toString('base64');
  const firstBare = `n=,r=${nonce}`;
  let serverSignature: Buffer | undefined;
  let verified = false;
  return {
    mechanism: plus ? SCRAM_PLUS : SCRAM,
    get verified() {
      return verified;
    },
    first: () => Buffer.from(header + firstBare),
    final(data: Buffer): Buffer {
      if (serverSignature !== undefined) throw failure('the server repeats its SCRAM challenge');
      const challenge = data.toString('utf8');
      const { serverNonce, salt, iterations } = parseChallenge(challenge, nonce);
      const salted = pbkdf2Sync(saslPrepare(options.password.reveal()), salt, iterations, 32, 'sha256');
      const clientKey = hmac(salted, 'Client Key');
      const binding = Buffer.concat([Buffer.from(header), plus ? (options.serverEndPoint ?? EMPTY) : EMPTY]);
      const finalBare = `c=${binding.toString('base64')},r=${serverNonce}`;
      const authMessage = `${firstBare},${challenge},${finalBare}`;
      const proof = xor(clientKey, hmac(createHash('sha256').update(clientKey).digest(), authMessage));
      serverSignature = hmac(hmac(salted, 'Server Key'), authMessage);
      return Buffer.from(`${finalBare},p=${proof.toString('base64')}`);
    },
    verify(data: Buffer): void {
      const match = /^v=([A-Za-z0-9+/]+={0,2})(,|$)/.exec(data.toString('utf8'));
      const theirs = Buffer.from(match?.[1] ?? '', 'base64');
      if (serverSignature === undefined || !constantTimeEqual(theirs, serverSignature)) {
        throw failure('the server did not prove that it knows the password');
      }
      verified = true;
    },
  };
}

function parseChallenge(challenge: string, nonce: string) {
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,8})(,|$)/.exec(challenge);
  const [, serverNonce = '', salt = '', iterations = ''] = match ?? [];
  if (match === null) throw failure('the server sent a malformed SCRAM challenge');
  if (!serverNonce.startsWith(nonce) || serverNonce.length === nonce.length) {
    throw failure('the server answered with a nonce that is not ours');
  }
  if (Number(iterations) < ITERATIONS_MIN || Number(iterations) > ITERATIONS_MAX) {
    throw failure(
      `the server asks for ${iterations} SCRAM iterations; ${ITERATIONS_MIN} to ${ITERATIONS_MAX} are done`,
    );
  }
  return { serverNonce, salt: Buffer.from(salt, 'base64'), iterations: Number(iterations) };
}

/** PostgreSQL's md5: hex(md5(hex(md5(password ‖ user)) ‖ salt)). */
function md5Password(user: string, password: Secret, salt: Buffer): string {
  const inner = createHash('md5').update(password.reveal()).update(user).digest('hex');
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`;
}

/** SASLprep as far as passwords need it: ASCII is itself; else spaces become plain, invisible marks go, NFKC. Bytes that are no UTF-8 stay, as in PostgreSQL. @see RFC 4013 */
function saslPrepare(password: Buffer): Buffer {
  if (password.every((code) => code >= 0x20 && code < 0x7f)) return password;
  const text = password.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(password)) return password;
  const mapped = text.replace(SPACES, ' ').replace(INVISIBLE, '');
  return Buffer.from(mapped.normalize('NFKC'), 'utf8');
}

function hmac(key: Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

function xor(a: Buffer, b: Buffer): Buffer {
  const out = Buffer.alloc(a.length);
  for (let i = 0; i < a.length; i++) out[i] = (a[i] ?? 0) ^ (b[i] ?? 0);
  return out;
}

function failure(message: string): PostgresWireError {
  return new PostgresWireError('ERR_PG_AUTHENTICATION', message);
}

const SCRAM = 'SCRAM-SHA-256';
const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS';
const EMPTY = Buffer.alloc(0);
const NONCE_BYTES = 18;
/** PostgreSQL lets an administrator go down to 1 (`scram_iterations`); a challenge of a few would make a stolen proof cheap to guess from. */
const ITERATIONS_MIN = 1000;
/** Each 4,096 iterations take about 2 ms of this thread: a hostile server must not stop the gateway. */
const ITERATIONS_MAX = 100_000;
/** RFC 3454 table C.1.2. */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
/** RFC 3454 table B.1. */
const INVISIBLE = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g;
