#!/usr/bin/env bash
# Times whole training runs like those of the 2018 pipeline: from the prepared dataset to the target hit rate. With the
# real ml-20m (in DATA_DIR) and the MLPerf settings:
#
#   python/examples/run.sh ml-20m 0.635 5
#
# One run on the dataset of scripts/demo, without a threshold:
#
#   python/examples/run.sh
#
# run.sh [DATASET [HR_THRESHOLD [RUNS]]]; EXTRA_ARGUMENTS and DATA_DIR come from the environment.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dataset=${1:-$root/build/demo/dataset}
threshold=${2:-}
runs=${3:-1}
data_dir=${DATA_DIR:-$root/build/neumf}
python=$root/.venv/bin/python
[ -x "$python" ] || python=python3

arguments=(--dataset "$dataset" --data_dir "$data_dir")
if [ "$dataset" = ml-20m ]; then
  arguments+=(--ml_perf --num_factors 64 --layers 256,256,128,64 --batch_size 98304 --learning_rate 0.00382059
              --beta1 0.783529 --beta2 0.909003 --epsilon 1.45439e-07 --train_epochs 100)
fi
if [ -n "$threshold" ]; then arguments+=(--hr_threshold "$threshold"); fi
# shellcheck disable=SC2206  # words are wanted
arguments+=(${EXTRA_ARGUMENTS:-})

mkdir -p "$data_dir"
for run in $(seq "$runs"); do
  echo "Run $run of $runs"
  begin=$(date +%s)
  "$python" "$here/train_neumf.py" "${arguments[@]}" --seed "$run" --model_dir "$data_dir/run_$run" 2>&1 |
    tee "$data_dir/run_$run.log" |
    grep --line-buffered -E '(Iteration [0-9]+: HR = [0-9.]+, NDCG = [0-9.]+)|pipeline_hash|waiting for data|rror'
  echo "Run $run complete: $(($(date +%s) - begin)) seconds."
done
