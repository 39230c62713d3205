"""Airflow: one task a night, whose ``as_of`` is the end of its data interval, so that a backfill replays old nights."""

from __future__ import annotations

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator

MARKET_TIME = pendulum.timezone("Europe/Copenhagen")

with DAG(
    dag_id="adno_nightly",
    schedule="30 11,18 * * *",
    start_date=pendulum.datetime(2024, 6, 1, tz=MARKET_TIME),
    catchup=False,
    max_active_runs=1,  # nights of one store take turns
) as dag:
    BashOperator(
        task_id="nightly",
        cwd="/var/lib/adno",
        bash_command=(
            "/opt/adno/bin/python -m pipelines.nightly source=entsoe zone=DK_1 "
            "'as_of={{ data_interval_end.isoformat() }}' hydra.run.dir=outputs/nightly/{{ ts_nodash }}"
        ),
        append_env=True,  # ENTSOE_API_KEY comes from the worker's environment
        retries=2,
        retry_delay=pendulum.duration(minutes=10),
    )
