import { globSync } from 'node:fs';
import { join } from 'node:path';
import { ApiProblem } from '@countersign/sdk/client';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { Code, RpcError } from '../../rpc/index.ts';
import { CodedError, type ErrorTable } from '../../std/index.ts';
import { exitCodes, UsageError } from '../command.ts';
import { failureOf } from './exit-code.ts';

interface ErrorsModule {
  readonly errorTable?: ErrorTable;
  readonly [name: string]: unknown;
}

const source = join(import.meta.dirname, '../..');
const modules = await Promise.all(
  globSync('**/errors.ts', { cwd: source })
    .filter((file) => file !== 'std/errors.ts')
    .map(async (file) => ({ file, module: (await import(join(source, file))) as ErrorsModule })), // Each is looked at below.
);
const codes = modules.flatMap(({ file, module }) =>
  Object.entries(module.errorTable ?? {}).map(([code, entry]) => ({ file, module, code, entry })),
);

describe('the exit code of a failure with a code of ours', () => {
  it('is known for every feature', () => {
    expect(modules.filter(({ module }) => module.errorTable === undefined)).toEqual([]);
    expect(codes.length).toBeGreaterThan(100);
  });

  it.each(codes)('is what the table says, for $code', ({ module, code, entry }) => {
    const failure = errorOf(module, code);
    expect(failure).toMatchObject({ code, entry });
    expect(failureOf(failure)).toEqual({ code, exitCode: exitCodes[entry.exit] });
  });

  it('is 70 for faults of ours alone: what a person can cause is none of these', () => {
    const internal = codes.filter(({ entry }) => entry.exit === 'internal').map(({ code }) => code);
    expect(internal.toSorted()).toEqual([
      'ERR_AUTHORITY_SELF_CHECK',
      'ERR_CERTIFICATE_WRITE',
      'ERR_KEYSTORE_KEY',
      'ERR_LEDGER_ENTRY_INVALID',
      'ERR_POLICY_PARSER',
      'ERR_POLICY_SCHEMA',
      'ERR_QUESTIONS_ANSWER',
      'ERR_REST_INTERNAL',
      'ERR_SEAL_SIZE',
      'ERR_SESSIONS_ANSWER',
      'ERR_SQL_PARSER',
      'ERR_STORE_CONSTRAINT',
      'ERR_STORE_NOTIFY_SIZE',
    ]);
  });

  it('is 78 for whatever says that settings or given files are at fault', () => {
    const named = codes.filter(({ code }) => /_(CONFIG|OPTIONS|UNSAFE|PASSPHRASE)$|^ERR_CONFIG_/.test(code));
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ entry }) => entry.exit !== 'config')).toEqual([]);
  });
});

describe('the exit code of any other failure', () => {
  it.each([
    ['a wrong use', new UsageError('--yes is missing'), 'ERR_USAGE', 64],
    ['a name that is none', thrownBy(() => parseSpiffeId('https://example.org')), 'ERR_SPIFFE_ID', 64],
    ['what the server refuses to read', new RpcError(Code.INVALID_ARGUMENT, 'no'), 'INVALID_ARGUMENT', 64],
    ['what is not there', new RpcError(Code.NOT_FOUND, 'there is no entry'), 'NOT_FOUND', 1],
    ['what is not allowed', new RpcError(Code.PERMISSION_DENIED, 'no identity issued'), 'PERMISSION_DENIED', 1],
    ['what is too much for the server', new RpcError(Code.RESOURCE_EXHAUSTED, 'no'), 'RESOURCE_EXHAUSTED', 1],
    ['what others changed meanwhile', new RpcError(Code.ABORTED, 'no'), 'ABORTED', 69],
    ['a server that does not answer', new RpcError(Code.UNAVAILABLE, 'no'), 'UNAVAILABLE', 69],
    ['a server that does not know the call', new RpcError(Code.UNIMPLEMENTED, 'no'), 'UNIMPLEMENTED', 69],
    ['what REST refuses', new ApiProblem(403, '{"code":"ERR_REST_FORBIDDEN"}', undefined), 'ERR_REST_FORBIDDEN', 1],
    ['what is too much for REST', new ApiProblem(429, '{"code":"ERR_REST_RATE"}', '1'), 'ERR_REST_RATE', 69],
    ['what is no server of ours', new ApiProblem(502, 'bad gateway', undefined), 'ERR_API', 70],
    ['a socket that is closed to this user', system('EACCES', { syscall: 'connect' }), 'EACCES', 69],
    ['a file that is not there', system('ENOENT', { syscall: 'open', path: '/a' }), 'ENOENT', 64],
    ['a folder in place of a file', system('EISDIR', { syscall: 'read', path: '/a' }), 'EISDIR', 64],
    ['a full disk', system('ENOSPC', { syscall: 'write' }), 'ENOSPC', 74],
    ['a fault of the server', new RpcError(Code.INTERNAL, 'no'), 'INTERNAL', 70],
    ['a surprise of the system', system('EPIPE', { syscall: 'write' }), 'EPIPE', 70],
    ['anything else', new Error('surprise'), 'ERR_INTERNAL', 70],
  ])('tells %s', (_, error, code, exitCode) => {
    expect(failureOf(error)).toEqual({ code, exitCode });
  });
});

/** A failure of the feature's own class. */
function errorOf(module: ErrorsModule, code: string): unknown {
  const found = Object.values(module).find(
    (value): value is new (code: string, message: string) => CodedError<string> =>
      typeof value === 'function' && value.prototype instanceof CodedError,
  );
  return found && new found(code, 'no');
}

function system(code: string, fields: object): Error {
  return Object.assign(new Error(code), { code, ...fields });
}

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
