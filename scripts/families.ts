/**
 * The families that grow by one folder a member: where they live and what their generated registry is called; `local`, that of the halves that an
 * agent loads, one a member at most, in `local.ts`.
 */
export const families = [
  { kind: 'keystore', folder: 'src/authority/keystores', registry: 'keystores', title: 'Keystores' },
  { kind: 'attestor', folder: 'src/attestation/attestors', registry: 'attestors', title: 'Attestors' },
  {
    kind: 'protocol',
    folder: 'src/gateway/protocols',
    registry: 'protocols',
    title: 'Protocols',
    local: 'localProtocols',
  },
  { kind: 'store-engine', folder: 'src/store/engines', registry: 'storeEngines', title: 'Store engines' },
  { kind: 'sink', folder: 'src/records/sinks', registry: 'recordSinks', title: 'Sinks' },
  { kind: 'resource-kind', folder: 'src/resources/kinds', registry: 'resourceKinds', title: 'Resource kinds' },
] as const;
