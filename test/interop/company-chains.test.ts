/** Chains of companies through `openssl verify`, Go's crypto/x509 and ourselves: where the three differ, the table and the docs say why. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CompanyChain,
  makeCompanyChains,
} from '../../src/attestation/attestors/x509pop/testing/company-chains.ts';
import { createOpensslCa } from '../../src/attestation/attestors/x509pop/testing/openssl-ca.ts';
import { buildGo, go } from './go-toolchain.ts';
import { mayLack } from './toolchain.ts';

describe.skipIf(mayLack(go))('the chains of companies', () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-chains-'));
  let chains: readonly CompanyChain[] = [];
  beforeAll(async () => {
    chains = makeCompanyChains(createOpensslCa(directory));
    await buildGo(directory, ['chains']);
  });
  afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

  /** All rows at once, so that one run shows every difference, with the other's words. */
  const expectTable = (
    answers: readonly { name: string; answer: string; stderr: string }[],
    ofTable: (chain: CompanyChain) => string | undefined,
  ) => {
    const wrong = answers.filter(({ answer }, index) => {
      const chain = chains[index];
      return answer !== (chain && (ofTable(chain) ?? (chain.here === 'attests' ? 'accepts' : 'refuses')));
    });
    expect(answers.length).toBeGreaterThan(50);
    expect(wrong).toEqual([]);
  };

  it('are answered by OpenSSL as the table says', () => {
    const answers = chains.map(({ name, caBundle, shown }) => {
      const { status, stderr } = spawnSync(
        'openssl',
        ['verify', '-no-CApath', '-no-CAstore', '-CAfile', caBundle, '-untrusted', shown.pem, shown.pem],
        { encoding: 'utf8' },
      );
      return { name, answer: status === 0 ? 'accepts' : 'refuses', stderr };
    });
    expectTable(answers, ({ openssl }) => openssl);
  });

  it('are answered by Go as the table says', () => {
    const answers = chains.map(({ name, caBundle, shown }) => {
      const { status, stdout } = spawnSync(path.join(directory, 'chains'), [caBundle, shown.pem], { encoding: 'utf8' });
      return { name, answer: status === 0 ? 'accepts' : 'refuses', stderr: stdout };
    });
    expectTable(answers, ({ go: answer }) => answer);
  });

  it('that are answered differently say why', () => {
    for (const { name, openssl, go: goAnswer, why } of chains)
      expect(why !== undefined, name).toBe(openssl !== undefined || goAnswer !== undefined);
  });
});
