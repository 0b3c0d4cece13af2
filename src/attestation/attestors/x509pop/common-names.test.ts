import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { createTestAuthority } from '../../../rpc/testing/fixtures.ts';

it('a process that has read the names of a certificate before it loads TLS can use TLS', () => {
  const authority = createTestAuthority('example.org');
  const der = authority.issue('spiffe://example.org/web').chainDer[0]?.toString('base64') ?? '';
  const script = `
    const { commonNames } = await import(${JSON.stringify(new URL('common-names.ts', import.meta.url).href)});
    console.log(JSON.stringify(commonNames(Buffer.from(${JSON.stringify(der)}, 'base64'))));
    console.log(typeof (await import('node:tls')).createSecureContext);`;
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(said).toBe('["localhost"]\nfunction\n');
});
