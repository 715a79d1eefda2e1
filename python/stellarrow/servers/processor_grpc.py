"""contractdata.v1.ControlService: sessions over gRPC."""

from __future__ import annotations

from typing import Final

from stellarrow.extras import needing
from stellarrow.filter import Filter
from stellarrow.net.address import Address
from stellarrow.processor.processor import Processor
from stellarrow.processor.session import Status
from stellarrow.security.access import Access
from stellarrow.security.tls import Tls
from stellarrow.servers.grpc_base import RpcServer, Unary

with needing("the control service", "servers"):
    from stellarrow.proto import control_service_pb2 as messages

SERVICE: Final = "contractdata.v1.ControlService"


class ControlServer(RpcServer):
    """Serve a processor's sessions."""

    def __init__(
        self,
        address: Address,
        processor: Processor,
        *,
        tls: Tls | None = None,
        access: Access | None = None,
        insecure: bool = False,
    ) -> None:
        self._processor = processor
        methods = {
            "StartProcessing": Unary(
                self._start, messages.StartProcessingRequest.FromString, lambda _, answer: _session_of(answer)
            ),
            "StopProcessing": Unary(
                self._stop, messages.StopProcessingRequest.FromString, lambda request, _: request.session_id
            ),
            "GetStatus": Unary(self._status, messages.GetStatusRequest.FromString),
            "ConfigureFilters": Unary(self._configure, messages.ConfigureFiltersRequest.FromString),
            "GetMetrics": Unary(self._metrics, messages.GetMetricsRequest.FromString),
        }
        super().__init__(
            address,
            {SERVICE: methods},
            tls=tls,
            access=access,
            insecure=insecure,
            network=processor.options.network,
        )

    def _start(self, request: messages.StartProcessingRequest) -> messages.StartProcessingResponse:
        session = self._processor.start(
            request.start_ledger, request.end_ledger, batch_size=request.batch_size
        )
        answer = (
            f"processing {session.ledgers}"
            if request.end_ledger
            else f"following from {request.start_ledger}"
        )
        return messages.StartProcessingResponse(success=True, message=answer, session_id=session.id)

    def _stop(self, request: messages.StopProcessingRequest) -> messages.StopProcessingResponse:
        session = self._processor.stop(request.session_id)
        if session.status is Status.ERROR:
            return messages.StopProcessingResponse(message=f"the session had ended before: {session.message}")
        answer = "had stopped before" if session.status is Status.STOPPED else "is stopping"
        return messages.StopProcessingResponse(success=True, message=f"the session {answer}")

    def _status(self, request: messages.GetStatusRequest) -> messages.GetStatusResponse:
        work = self._processor.work(request.session_id)
        session = work.session
        return messages.GetStatusResponse(
            status=int(session.status),  # type: ignore[arg-type]  # the numbers are the same
            current_ledger=session.current,
            target_ledger=session.ledgers.last or 0,
            entries_processed=session.counts.entries,
            error_message=work.message,
        )

    def _configure(self, request: messages.ConfigureFiltersRequest) -> messages.ConfigureFiltersResponse:
        where = Filter(
            contract_ids=tuple(request.contract_ids),
            asset_codes=tuple(request.asset_codes),
            asset_issuers=tuple(request.asset_issuers),
            event_types=self._processor.where.event_types,  # of which the request has no word
            include_deleted=request.include_deleted,
        )
        self._processor.configure(where)
        return messages.ConfigureFiltersResponse(success=True, message="holds from the next ledger on")

    def _metrics(self, request: messages.GetMetricsRequest) -> messages.GetMetricsResponse:
        work = self._processor.work(request.session_id)
        counts = work.session.counts
        return messages.GetMetricsResponse(
            contracts_processed=counts.entries,
            entries_skipped=counts.skipped,
            batches_created=counts.batches,
            bytes_processed=counts.bytes,
            processing_rate=work.rate.per_second,
            last_update_time=int(work.session.updated_at),
        )


def _session_of(answer: messages.StartProcessingResponse | None) -> str:
    return answer.session_id if answer else ""
