import { Bundle } from '@countersign/sdk/contract';
import { encodePem } from '../../../wire/x509/index.ts';
import { type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';

export const command: CliCommand = {
  summary: "Print the server's CA certificates (PEM): what agent.trustBundle wants, and what verifies SVIDs.",
  options: serverOptions,
  examples: ['countersign bundle show > bundle.pem'],
  async run(context, input) {
    const call = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    const bundle = await withServer(context, input, (client) => client.unary(Bundle.method.getBundle, {}, call));
    const pem = bundle.x509Authorities.map(({ asn1 }) => encodePem('CERTIFICATE', asn1)).join('');
    context.emit({ trustDomain: bundle.trustDomain, sequence: Number(bundle.sequenceNumber), pem }, () =>
      pem.trimEnd(),
    );
    return exitCodes.ok;
  },
};
