import { parseSpiffeId } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../config/index.ts';
import { LedgerError } from '../ledger/index.ts';
import { PrivateFileError } from '../private-files/index.ts';
import { Code, RpcError } from '../rpc/index.ts';
import { UsageError } from './command.ts';
import { failureOf } from './exit-code.ts';

describe('the exit code of a failure', () => {
  it.each([
    ['a wrong use', new UsageError('--yes is missing'), 'ERR_USAGE', 64],
    ['a name that is none', thrownBy(() => parseSpiffeId('https://example.org')), 'ERR_SPIFFE_ID', 64],
    ['a wrong configuration', new ConfigError('ERR_CONFIG_INVALID', 'a.yaml:1:1: no'), 'ERR_CONFIG_INVALID', 78],
    ['a folder of another user', new PrivateFileError('ERR_PRIVATE_FILE_UNSAFE', 'no'), 'ERR_PRIVATE_FILE_UNSAFE', 78],
    ['what the server refuses to read', new RpcError(Code.INVALID_ARGUMENT, 'no'), 'INVALID_ARGUMENT', 64],
    ['what is not there', new RpcError(Code.NOT_FOUND, 'there is no entry'), 'NOT_FOUND', 1],
    ['an entry that is not in the ledger', new LedgerError('ERR_LEDGER_NOT_FOUND', 'no'), 'ERR_LEDGER_NOT_FOUND', 1],
    ['a ledger that is damaged', new LedgerError('ERR_LEDGER_CORRUPT', 'no'), 'ERR_LEDGER_CORRUPT', 1],
    ['a disk that fails the ledger', new LedgerError('ERR_LEDGER_IO', 'EIO'), 'ERR_LEDGER_IO', 74],
    ['what is not allowed', new RpcError(Code.PERMISSION_DENIED, 'no identity issued'), 'PERMISSION_DENIED', 1],
    ['a server that does not answer', new RpcError(Code.UNAVAILABLE, 'no'), 'UNAVAILABLE', 69],
    ['a socket that is closed to this user', Object.assign(new Error('no'), { code: 'EACCES' }), 'EACCES', 69],
    ['a fault of the server', new RpcError(Code.INTERNAL, 'no'), 'INTERNAL', 70],
    ['anything else', new Error('surprise'), 'ERR_INTERNAL', 70],
  ])('tells %s', (_, error, code, exitCode) => {
    expect(failureOf(error)).toEqual({ code, exitCode });
  });
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
