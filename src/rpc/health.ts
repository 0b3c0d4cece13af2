import { Health, HealthCheckResponse_ServingStatus } from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import { Code } from '../wire/grpc/index.ts';
import { RpcError } from './call.ts';
import { implement, type RpcService } from './service.ts';

/** The standard health check. `serving` answers for a service name (empty: the whole server); undefined = no such service. */
export function healthService(serving: (service: string) => boolean | undefined): RpcService {
  return implement(Health, {
    async check(request) {
      const healthy = serving(request.service);
      if (healthy === undefined) throw new RpcError(Code.NOT_FOUND, 'no such service is served here');
      const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
      return { status: healthy ? SERVING : NOT_SERVING };
    },
  });
}
