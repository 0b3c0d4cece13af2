import { expect, it } from 'vitest';
import { Code, RpcError } from '../../rpc/index.ts';
import { withFiles } from './refused-apply.ts';

// Goal: the server knows names only; whoever applied files is told which of them to open.

const files: Readonly<Record<string, string>> = {
  'Policy/q': 'd/q.cedar',
  'Target/shop': 'd/shop.yaml:1:1',
  'Entry/web': 'd/web.yaml:5:1',
};
const told = (message: string, code: RpcError['code'] = Code.INVALID_ARGUMENT) =>
  withFiles(new RpcError(code, message), (resource) => files[resource]);

it.each([
  ['Policy/q: q:3:1: error: the id "x" is taken: no', 'd/q.cedar:3:1: error: the id "x" is taken: no'],
  ['Target/shop: listen: port 1 is taken', 'd/shop.yaml:1:1: Target/shop: listen: port 1 is taken'],
  ['nothing was applied:\nEntry/web: no', 'nothing was applied:\nd/web.yaml:5:1: Entry/web: no'],
  [
    'Policy/q: it is declared twice\nPolicy/r: r:1:1: no',
    'd/q.cedar: Policy/q: it is declared twice\nPolicy/r: r:1:1: no',
  ],
])('%j gets its file', (message, expected) => {
  expect(told(message)).toMatchObject({ code: Code.INVALID_ARGUMENT, message: expected });
});

it('other failures stay as they are', () => {
  expect(told('Policy/q: no', Code.INTERNAL)).toMatchObject({ code: Code.INTERNAL, message: 'Policy/q: no' });
  const other = new Error('Policy/q: no');
  expect(withFiles(other, () => 'file')).toBe(other);
});
