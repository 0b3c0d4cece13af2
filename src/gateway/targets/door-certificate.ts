import { createHash, X509Certificate } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import { type Clock, type Log, messageOf, raceAbort, type Timer } from '../../std/index.ts';
import { errorTable } from '../errors.ts';
import type { CurrentIdentity, GatewayIdentity } from '../identity.ts';
import { hasHost, parseServerCertificate, type ServerCertificate } from '../listeners/server-certificate.ts';
import type { DoorDeclaration, SecretResolver } from '../protocol.ts';
import { problemOf, type TargetProblem } from './target-problem.ts';

/**
 * The certificate that a door shows to clients that do not know the gateway's trust domain, kept as its files are: it is read anew again and again,
 * and one that was replaced counts within seconds. What can't be used is never shown; the one before it is, until it expires.
 */
export interface DoorCertificate {
  /** What is shown to whoever asks TLS for that host; undefined: the gateway's identity, since the certificate is for other hosts. */
  contextFor(serverName: string | undefined): SecureContext | 'broken' | undefined;
  /** What is wrong with it now. */
  problems(): readonly TargetProblem[];
  /** Resolves when it was read for the first time, whatever came of that. */
  start(): Promise<void>;
  /** Reads it no more. */
  close(): void;
}

export interface DoorCertificateDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly secrets: SecretResolver;
  readonly identity: Pick<GatewayIdentity, 'current'>;
  /** The target's name and hosts. */
  readonly target: string;
  readonly hosts: readonly string[] | undefined;
}

/** Creates that of a door; undefined where it declares none. */
export function createDoorCertificate(
  { certificate, key }: Pick<DoorDeclaration, 'certificate' | 'key'>,
  deps: DoorCertificateDeps,
): DoorCertificate | undefined {
  return certificate === undefined || key === undefined ? undefined : new Kept({ certificate, key }, deps);
}

class Kept implements DoorCertificate {
  readonly #references: { readonly certificate: string; readonly key: string };
  readonly #deps: DoorCertificateDeps;
  readonly #closing = new AbortController();
  #good: ServerCertificate | undefined;
  /** Of what the good one was made of. */
  #digest = '';
  /** What the last reading failed of. */
  #error: unknown;
  #first: Promise<void> | undefined;
  #timer: Timer | undefined;

  constructor(references: { readonly certificate: string; readonly key: string }, deps: DoorCertificateDeps) {
    this.#references = references;
    this.#deps = deps;
  }

  contextFor(serverName: string | undefined): SecureContext | 'broken' | undefined {
    const good = this.#valid();
    if (good === undefined) return 'broken';
    return good.isFor(serverName) ? good.context : undefined;
  }

  problems(): readonly TargetProblem[] {
    const { target } = this.#deps;
    const good = this.#valid();
    const fault = this.#error === undefined ? undefined : problemOf(target, this.#error);
    const { remedy } = fault ?? errorTable.ERR_GATEWAY_CERTIFICATE;
    if (good === undefined) {
      const why = fault?.what ?? (this.#good === undefined ? 'it was not read yet' : 'it has expired');
      return [{ target, what: `${NONE}: ${why}`, remedy, about: 'certificate' }];
    }
    const expiry = this.#isOld(good) ? `the door’s certificate expires at ${textOf(good.notAfterMs)}` : undefined;
    const told = [fault && `the door shows the certificate from before: ${fault.what}`, expiry, this.#missing(good)];
    return told.flatMap((what) => (what === undefined ? [] : [{ target, what, remedy, about: 'certificate-soon' }]));
  }

  start(): Promise<void> {
    this.#first ??= this.#look();
    return this.#first;
  }

  close(): void {
    this.#closing.abort();
    this.#timer?.cancel();
  }

  #valid(): ServerCertificate | undefined {
    const now = this.#deps.clock.now();
    const good = this.#good;
    return good !== undefined && now >= good.notBeforeMs && now < good.notAfterMs ? good : undefined;
  }

  #isOld({ notBeforeMs, notAfterMs }: ServerCertificate): boolean {
    const restMs = Math.min((notAfterMs - notBeforeMs) * REST_OF_LIFE, REST_MS_MAX);
    return notAfterMs - this.#deps.clock.now() < restMs;
  }

  /** Clients that ask for these are shown the gateway's identity; where that has not their names either, no client takes it. */
  #missing(good: ServerCertificate): string | undefined {
    const own = leafOf(this.#deps.identity.current());
    const missing = (this.#deps.hosts ?? []).filter(
      (host) => !good.isFor(host) && !(own !== undefined && hasHost(own, host)),
    );
    if (missing.length === 0) return undefined;
    return `the door’s certificate is not for ${missing.slice(0, NAMED_MAX).join(', ')}, nor is the gateway’s identity`;
  }

  async #look(): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#closing;
    const failed = this.#error !== undefined;
    try {
      await this.#read(signal);
      this.#error = undefined;
      if (failed) log.info('gateway.door.certificate_mended');
    } catch (error) {
      if (signal.aborted) return;
      // Once for all tries: what it fails of now is among the problems.
      if (!failed) log.error('gateway.door.certificate_failed', { error: messageOf(error) });
      this.#error = error;
    }
    if (!signal.aborted) this.#timer = clock.after(LOOK_MS, () => void this.#look());
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { secrets, clock, log } = this.#deps;
    const { certificate, key } = this.#references;
    const read = async (reference: string) => (await raceAbort(secrets.resolve(reference, signal), signal)).reveal();
    const pem = { certificate: await read(certificate), key: await read(key) };
    const digest = createHash('sha256').update(pem.key).update(pem.certificate).digest('hex');
    if (this.#valid() !== undefined && this.#digest === digest) return;
    this.#good = parseServerCertificate(pem, clock.now());
    this.#digest = digest;
    log.info('gateway.door.certificate', { expires: textOf(this.#good.notAfterMs) });
  }
}

function leafOf(identity: CurrentIdentity | undefined): X509Certificate | undefined {
  const [der] = identity?.chainDer ?? [];
  return der && new X509Certificate(der);
}

function textOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

const NONE = 'its door has no certificate to show, so that clients that need it are not taken';
/** Two small files. Whoever replaces one after the other is caught between them for so long at most. */
const LOOK_MS = 10_000;
/** Whoever renews certificates does so with a third of their life left, or thirty days. */
const REST_OF_LIFE = 0.2;
const REST_MS_MAX = 14 * 24 * 3_600_000;
/** Of up to a hundred. */
const NAMED_MAX = 5;
