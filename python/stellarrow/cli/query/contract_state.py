"""What a contract keeps now, in SQL: of its changes of storage, the last of each key."""

from __future__ import annotations


def state_of(changes: str, other: str) -> str:
    """Return the query over a view of changes in the schema `typed`.

    `other` is that of keys without a case, which has instances whole: what they keep no more since they were
    written last holds no longer. Empty where there is none.
    """
    query = f"""
        select * from (
            select * from typed.{_quoted(changes)} qualify row_number() over (
                partition by contract_id, ledger_key_hash, key_xdr
                order by ledger_sequence desc, transaction_index desc, change_index desc, item_index desc
            ) = 1
        ) as latest where not deleted"""
    if other:
        query += f"""
            and (item_index is null or not exists (
                select 1 from typed.{_quoted(other)} as instance
                where instance.contract_id = latest.contract_id and instance.durability = 'instance'
                    and instance.item_index is null
                    and (instance.ledger_sequence, instance.transaction_index, instance.change_index)
                        > (latest.ledger_sequence, latest.transaction_index, latest.change_index)
            ))"""
    return query


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
