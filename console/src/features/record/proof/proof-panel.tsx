import { useEffect, useState } from 'react';
import { problemOf, useCall } from '../../../api/index.ts';
import { Badge, Button, ErrorPanel, Panel, TextField } from '../../../ui/index.ts';
import { type ProofFile, type ProofVerdict, verifyProof } from './verify-proof.ts';

/** Proves in this browser that the entry stands in its log. */
export function ProofPanel({ log, position }: { readonly log: number; readonly position: number }) {
  const [isAsked, setAsked] = useState(false);
  const proof = useCall('record.prove', { log, position }, { enabled: isAsked, staleMs: Number.POSITIVE_INFINITY });
  return (
    <Panel
      title="Proof"
      actions={
        isAsked ? null : (
          <Button kind="primary" onClick={() => setAsked(true)}>
            Verify in this browser
          </Button>
        )
      }
    >
      {isAsked ? null : (
        <p className="text-sm text-soft">
          A proof shows that these very bytes stand in the log that its writer has signed and a server has
          countersigned. It is checked here, without the server’s word for it.
        </p>
      )}
      {isAsked && proof.isPending ? <p role="status">Fetching the proof…</p> : null}
      {proof.isError ? <ErrorPanel problem={problemOf(proof.error)} onRetry={() => void proof.refetch()} /> : null}
      {proof.data === undefined ? null : <Verdict file={proof.data} log={log} name={`entry-${log}-${position}`} />}
    </Panel>
  );
}

function Verdict({ file, log, name }: { readonly file: ProofFile; readonly log: number; readonly name: string }) {
  const [own, setOwn] = useState('');
  const [verdict, setVerdict] = useState<ProofVerdict>();
  const logs = useCall('log.list', {}, { staleMs: 60_000 });
  const told = logs.data?.logs.find((one) => one.log === log)?.verifierKey;
  const key = own.trim() === '' ? told : own.trim();
  const witnessKeys = logs.data?.witnessKeys;
  useEffect(() => {
    if (key === undefined) return setVerdict(undefined);
    let isStale = false;
    void verifyProof(file, { verifierKey: key, witnessKeys: witnessKeys ?? [] }).then((found) => {
      if (!isStale) setVerdict(found);
    });
    return () => {
      isStale = true;
    };
  }, [file, key, witnessKeys]);
  return (
    <div className="flex flex-col gap-3 text-sm">
      {verdict === undefined ? null : <Steps verdict={verdict} />}
      {key === undefined && !logs.isPending ? (
        <p role="alert">
          The public key of this log is missing: the server did not tell it. Paste the one that you have.
        </p>
      ) : null}
      <TextField
        label="Public key of the log"
        value={own}
        placeholder={told ?? 'name+id+base64'}
        onChange={(event) => setOwn(event.target.value)}
        hint={
          own.trim() === ''
            ? 'This server told it. Whoever does not trust the server pastes the key that they have from elsewhere.'
            : 'Verified with the key that you gave.'
        }
      />
      <div>
        <Button onClick={() => save(file, name)}>Save the proof file</Button>
      </div>
    </div>
  );
}

function Steps({ verdict }: { readonly verdict: ProofVerdict }) {
  return (
    <div role="status">
      <p>{verdict.ok ? <Badge tone="good">Verified</Badge> : <Badge tone="danger">Not verified</Badge>}</p>
      <ol className="mt-2 list-decimal pl-5">
        {verdict.steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
        {verdict.ok ? null : <li className="font-medium text-danger">{verdict.why}</li>}
      </ol>
    </div>
  );
}

/** As `countersign record prove --out` writes it. */
function save(file: ProofFile, name: string): void {
  const url = URL.createObjectURL(new Blob([`${JSON.stringify(file, null, 2)}\n`], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${name}.proof.json`;
  link.click();
  URL.revokeObjectURL(url);
}
