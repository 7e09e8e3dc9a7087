#!/usr/bin/env bash
# What a GPU is needed for, in legs of under nine minutes each; a leg that is cut goes on when it is given again.
#   benchmarks/gpu.sh OUT LEG [NAME ...]     OUT gets few files of under 16 MB and summary.json
#   benchmarks/gpu.sh OUT                    the legs, one after the other
# Legs: speed (tests, speed.py, beside the official code in the folder OFFICIAL if it is given), score (the demonstration's
# score), guides (its classifier and judge), faces (scores, classifier and judge of FACES, a folder with cat/
# and dog/ in train/ and test/), translate [SPLIT] (every method and setting of the demonstration).
# Beside them: probe (speed of a training step), train [NAME ...] (all networks of the demonstration, or those, side by side;
# 3d, flat: a score for each style; disjoint_...: of DATA_disjoint, made with --disjoint, whose styles share no family).
# guide: a classifier that starts from the score, to be better than the shipped one.
# DATA: the pictures of `python -m egsde.data.fluent.build --folder DIR`. RUNS: where checkpoints lie between legs.
# LIMIT: seconds of a training leg. SPEED: arguments of speed.py in the place of the leg's. EXTRA: overrides for every training, such as a small test on a CPU:
#   EXTRA="compile=false trainer.precision=32-true data.batch_size=8 trainer.max_steps=2" \
#       DATA=fluent_128 benchmarks/gpu.sh out train
set -uo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd) leg=${2:-}
if [ -z "$leg" ]; then
    for leg in speed score guides faces translate; do "${BASH_SOURCE[0]}" "$out" $leg; done
    exit
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=${DATA:-fluent_128} runs=${RUNS:-runs/gpu} limit=${LIMIT:-500} extra=${EXTRA:-}
mkdir -p "$runs"
[ -e "$out/small.tar" ] && tar -xf "$out/small.tar" -C "$out" && rm "$out/small.tar" # of the legs before
export PYTHONPATH=src:${PYTHONPATH:-} PYTHONUNBUFFERED=1 TORCHINDUCTOR_CACHE_DIR=$runs/inductor
fast=(data.resident=true compile=true translate=null +trainer.benchmark=true)

# Trains NAME EXPERIMENT OVERRIDES... until done or cut; its log, curve and averaged weights go to OUT.
run() {
    local name=$1 experiment=$2; shift 2
    timeout --signal=TERM --kill-after=20 "$limit" python3 train.py experiment="$experiment" out="$runs/$name" \
        "${fast[@]}" "$@" $extra > "$runs/$name.log" 2>&1
    echo "$name: rc $?, $(tail -n 1 "$runs/$name.log")"
}

# Tests, then a table of speed for each precision; a leg that was cut goes on with the first that is not done.
speed() {
    local precision official=()
    [ -n "${OFFICIAL:-}" ] && official=("official=$OFFICIAL")
    [ -e "$runs/tests.done" ] || timeout 120 python3 -m pytest -m gpu -n0 -q ${TESTS:-tests} > "$out/gpu_tests.txt" 2>&1
    touch "$runs/tests.done"
    tail -n 5 "$out/gpu_tests.txt"
    for precision in ${PRECISIONS:-fp32 tf32 bf16 compiled bf16_compiled}; do
        [ -e "$runs/speed_$precision.done" ] && continue
        timeout 80 python3 benchmarks/speed.py ${official[@]+"${official[@]}"} --out "$runs/speed_$precision" \
            --precisions $precision ${SPEED:---sizes 64 256 --batches 1 4 16 64 --repeats 5} > "$runs/speed_$precision.log" 2>&1 \
            && touch "$runs/speed_$precision.done"
        echo "speed $precision: $(tail -n 1 "$runs/speed_$precision.log")"
        cp "$runs/speed_$precision/speed.csv" "$out/speed_$precision.csv"
    done
}

score() { train labelled; }

guides() { train classifier judge; }

faces() { train dog cat cat_or_dog faces_judge; }

probe() {
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    limit=150
    for batch in 256 512; do
        run "probe_$batch" fluent_score data.root="$data" data.batch_size=$batch trainer.max_steps=600 trainer.val_check_interval=600
    done
    run probe_eager fluent_score data.root="$data" compile=false trainer.max_steps=300 trainer.val_check_interval=300
    run probe_classifier fluent_classifier data.root="$data" trainer.max_steps=400 trainer.val_check_interval=400
}

# The networks of the demonstration, or those named, side by side.
train() {
    local name
    local emoji=(data.root="$data") halves=(data.root="${data}_disjoint")
    local faces=(data.root="${FACES:-faces}" data.size=64 data.batch_size=256 data.flip=true +data/augment@data.augment=moved
        data.augment.fill=null data.augment.hue=0 data.augment.turn=8 data.augment.shift=0.04)
    local face=("${faces[@]}" network=folded_64 data.augment.scale=[0.95,1.15] module.ema_decay=0.9995
        module.schedule.warmup=500 trainer.max_steps=3000 trainer.val_check_interval=1000)
    local told=("${faces[@]}" network=encoder_64 network.dropout=0.2 data.augment.scale=[0.9,1.4] data.augment.shift=0.1
        data.augment.moved=1 module.ema_decay=0.999 trainer.max_steps=1200 trainer.val_check_interval=400)
    for name in ${@:-labelled classifier judge paired}; do
        case $name in
            3d) run $name fluent_score "${emoji[@]}" ;;
            flat) run $name fluent_score "${emoji[@]}" data.source=3d data.target=flat ;;
            disjoint_3d) run $name fluent_score "${halves[@]}" ;;
            disjoint_flat) run $name fluent_score "${halves[@]}" data.source=3d data.target=flat ;;
            disjoint_classifier) run $name fluent_classifier "${halves[@]}" ;;
            dog) run $name faces_score "${face[@]}" ;;
            cat) run $name faces_score "${face[@]}" data.source=dog data.target=cat ;;
            cat_or_dog) run $name faces_classifier "${told[@]}" ;;
            faces_judge) run $name faces_classifier "${told[@]}" seed=1 network.depth=1 network.channel_mult=[1,2,3] \
                module.t_last=0.1 module.power=1 ;;
            paired) run $name fluent_paired data.batch_size=128 ;;
            guide) run $name fluent_classifier "${emoji[@]}" network=encoder_of_folded_64 network.dropout=0.3 \
                init_weights=demo/flat_and_3d.safetensors module.cutmix=0.7 module.t_last=0.5 module.ramp=0.3 module.power=1 ;;
            *) run $name "fluent_$name" "${emoji[@]}" ;;
        esac &
    done
    wait
}

# All methods of the demonstration with the shipped networks, eight processes.
translate() {
    local part
    for part in 1 2 3 4 5 6 7 8; do
        timeout "$limit" python3 benchmarks/demonstration.py --split "${1:-val}" --out "$out" --part $part/8 &
    done
    wait
}

"$leg" "${@:3}"
python3 benchmarks/gpu_summary.py "$runs" "$out"
