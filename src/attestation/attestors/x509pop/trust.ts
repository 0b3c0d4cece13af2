import { messageOf } from '../../../std/index.ts';
import {
  anchorFault,
  type Certificate,
  decodePem,
  describeName,
  type PemBlock,
  parseCertificate,
  ruleOf,
  X509Error,
} from '../../../wire/x509/index.ts';
import type { NodeVerifierDeps } from '../../attestor.ts';
import { AttestationError } from '../../errors.ts';
import { type KnownList, readLists } from './revocation.ts';

/** Whose certificates are accepted. */
export interface Trust {
  readonly roots: readonly Certificate[];
  /** Undefined when no CRLs are given: then none is asked for. */
  readonly lists: readonly KnownList[] | undefined;
}

/**
 * Opens what the server trusts. The files are looked at again at each call, and read anew when they have changed: then what could not be used
 * is logged. A file that has become unusable is a failure, never an older trust.
 * @throws AttestationError ERR_ATTEST_CONFIG, at once and at each call
 */
export function openTrust(
  files: { readonly caBundle: string; readonly crls: string | undefined },
  deps: Pick<NodeVerifierDeps, 'readTrustedFile' | 'log' | 'clock'>,
): () => Trust {
  let known: { readonly bundle: Buffer; readonly lists: Buffer | undefined; readonly trust: Trust } | undefined;
  const current = () => {
    const bundle = readTrusted('caBundle', files.caBundle, deps);
    const lists = files.crls === undefined ? undefined : readTrusted('crls', files.crls, deps);
    if (known?.bundle.equals(bundle) && (lists === undefined || known.lists?.equals(lists))) return known.trust;
    const roots = readRoots(bundle, files.caBundle, deps);
    const trust = {
      roots,
      lists: lists && readLists(lists, { path: files.crls ?? '', roots, nowMs: deps.clock.now() }),
    };
    known = { bundle, lists, trust };
    return trust;
  };
  current();
  return current;
}

/**
 * The usable certificates of a bundle. One that can't be used is named in the log and left out: a company's bundle of many has an odd one among
 * them, and the nodes of the others are not to wait for it. A bundle of which nothing can be used is a mistake.
 */
function readRoots(pem: Buffer, path: string, { log }: Pick<NodeVerifierDeps, 'log'>): Certificate[] {
  const roots: Certificate[] = [];
  const problems: string[] = [];
  for (const [index, block] of pemBlocks(pem, path).entries()) {
    if (block.label !== 'CERTIFICATE')
      throw new AttestationError('ERR_ATTEST_CONFIG', `${path} holds a ${block.label}, which is no certificate`);
    const root = readRoot(block.der);
    if (typeof root !== 'string') roots.push(root);
    else problems.push(`certificate ${index + 1} ${root}`);
  }
  if (roots.length === 0) {
    const why = problems[0] ?? 'it is empty';
    throw new AttestationError('ERR_ATTEST_CONFIG', `${path} holds no certificates that can be used: ${why}`);
  }
  for (const problem of problems) log.warn('attestation.x509pop.root_left_out', { path, problem });
  return roots;
}

function readRoot(der: Buffer): Certificate | string {
  let root: Certificate;
  try {
    root = parseCertificate(der);
  } catch (error) {
    if (error instanceof X509Error) return `can not be read: ${error.message}`;
    throw error;
  }
  const fault = anchorFault(root, 'path');
  return fault
    ? `(${describeName(root.subjectDer)}; serial ${BigInt(root.serial).toString(16)}) ${ruleOf(fault, root)}`
    : root;
}

/** @throws AttestationError ERR_ATTEST_CONFIG */
export function pemBlocks(pem: Buffer, path: string): PemBlock[] {
  try {
    return decodePem(pem.toString('utf8'));
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_CONFIG', `${path} holds no certificates: ${messageOf(cause)}`, { cause });
  }
}

/** Who can change it decides which nodes are let in. */
function readTrusted(
  name: string,
  path: string,
  { readTrustedFile }: Pick<NodeVerifierDeps, 'readTrustedFile'>,
): Buffer {
  let bytes: Buffer | undefined;
  try {
    bytes = readTrustedFile(path);
  } catch (cause) {
    throw new AttestationError('ERR_ATTEST_CONFIG', `${name} can not be read: ${messageOf(cause)}`, { cause });
  }
  if (bytes) return bytes;
  throw new AttestationError('ERR_ATTEST_CONFIG', `${name} can not be read: there is no ${path}`);
}
