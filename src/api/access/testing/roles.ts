/** Who called what before policy decided: as long as nobody has changed access, the answers stay those. */
export type CallerRole = 'anyone' | 'agent' | 'admin' | 'gateway';

export const rolesByMethod: ReadonlyMap<string, readonly CallerRole[]> = new Map(
  Object.entries({
    'grpc.health.v1.Health': { anyone: ['Check'] },
    'spire.api.server.agent.v1.Agent': {
      anyone: ['AttestAgent'],
      agent: ['RenewAgent', 'PostStatus'],
      admin: ['CountAgents', 'ListAgents', 'GetAgent', 'DeleteAgent', 'BanAgent', 'CreateJoinToken'],
    },
    'spire.api.server.bundle.v1.Bundle': {
      anyone: ['GetBundle'],
      agent: ['GetFederatedBundle'],
      admin: [
        'CountBundles',
        'ListFederatedBundles',
        'GetFederatedBundle',
        'BatchCreateFederatedBundle',
        'BatchUpdateFederatedBundle',
        'BatchSetFederatedBundle',
        'BatchDeleteFederatedBundle',
      ],
    },
    'spire.api.server.entry.v1.Entry': {
      agent: ['GetAuthorizedEntries', 'SyncAuthorizedEntries'],
      admin: ['CountEntries', 'ListEntries', 'GetEntry', 'BatchCreateEntry', 'BatchUpdateEntry', 'BatchDeleteEntry'],
    },
    'spire.api.server.svid.v1.SVID': {
      agent: ['BatchNewX509SVID', 'NewJWTSVID'],
      admin: ['MintX509SVID', 'MintJWTSVID'],
    },
    'countersign.control.v1.Control': {
      agent: ['WatchNode', 'ReportRefusals'],
      gateway: ['WatchGateway', 'ReportGateway'],
      admin: ['Apply', 'CreateEntry', 'ListEntryAttributes', 'ListResources', 'ListGateways'],
    },
    'countersign.control.v1.Approvals': { gateway: ['HoldOperation', 'SpendApproval', 'WithdrawHold'] },
    'countersign.control.v1.Questions': { gateway: ['Answer'] },
    'countersign.control.v1.Revocations': {
      agent: ['WatchRevocations', 'AckRevocations'],
      gateway: ['WatchRevocations', 'AckRevocations'],
    },
    'countersign.control.v1.Sessions': { admin: ['ListSessions', 'EndSessions'] },
    'countersign.control.v1.Records': {
      gateway: ['Ship'],
      admin: ['SearchRecords', 'GetRecord', 'ListLogs', 'AcceptLog'],
    },
  } satisfies Record<string, Partial<Record<CallerRole, readonly string[]>>>)
    .flatMap(([service, methodsByRole]) =>
      Object.entries(methodsByRole).flatMap(([role, methods]) =>
        // Object.entries forgets that its keys are roles; `satisfies` has checked them.
        methods.map((method) => ({ path: `/${service}/${method}`, role: role as CallerRole })),
      ),
    )
    .reduce(
      (table, { path, role }) => table.set(path, [...(table.get(path) ?? []), role]),
      new Map<string, CallerRole[]>(),
    ),
);
