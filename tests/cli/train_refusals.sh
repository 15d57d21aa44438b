# tweedie train: bad command lines, configurations and run directories. All ranks end with the code of its kind, and one message.
. "$(dirname "$0")/train/lib.sh"
make_tiny

# ---- command line: 64
expect_exit 64 ranks 2 "$TWEEDIE" train tiny.ini
expect_message "--run RUN must be given"
expect_exit 64 ranks 2 "$TWEEDIE" train --run run
expect_message "too few arguments"
expect_exit 64 train 2 run tiny.ini tiny.ini
expect_message "unexpected argument 'tiny.ini'"
expect_exit 64 train 1 run tiny.ini --inti x
expect_message "there is no option --inti (did you mean --init?)"
expect_exit 64 train 1 run tiny.ini --max-hours=-1
expect_message "--max-hours '-1': expected a number from 0"
expect_exit 64 train 1 run tiny.ini --stop-at-step soon
expect_message "--stop-at-step 'soon': expected an integer"
expect_exit 64 train 1 "" tiny.ini
expect_message "run"
refused 66 "none.ini: cannot be read: No such file or directory" none.ini

# ---- configuration: 78
refused 78 "command line: unknown key train.step (did you mean train.steps?)" tiny.ini train.step=3
sed 's/^base/bass/' tiny.ini >bad.ini
refused 78 "bad.ini:5: unknown key network.bass (did you mean network.base?)" bad.ini
refused 78 "train.batch = 'many': expected an integer" tiny.ini train.batch=many
refused 78 "optimizer.learning_rate = '11': expected" tiny.ini optimizer.learning_rate=11
refused 78 "train.steps: must be given, at least 1" tiny.ini train.steps=0
sed '/^path/d; /^steps/d' tiny.ini >bad.ini
refused 78 "data.path: must be given" bad.ini network.kind=unett
expect_message "train.steps: must be given" # all errors at once
expect_message 'network.kind: there is no "unett"; did you mean unet? There are adm,'
refused 78 'process.schedule: there is no "squared"; there are cosine, linear' tiny.ini objective.schedule=squared
refused 78 'objective.kind: there is no "ddpn"' tiny.ini objective.kind=ddpn
sed "/^base/d; /^groups/d; /^mult/d; /^blocks/d; s/unet/mlp/" tiny.ini >mlp.ini
refused 78 "network.kind: mlp wants points, and the data are images" mlp.ini
refused 78 'there is no split "dev"; there are train=0:256,test=256:320' tiny.ini data.split=dev
refused 78 "network.groups: 7 does not divide the 16 channels of a level" tiny.ini network.groups=7
refused 78 'split "train" has 256 samples, fewer than the batch of 258' tiny.ini train.batch=258
expect_exit 78 train 2 run tiny.ini train.batch=15
expect_message "a batch of 15 cannot be divided among 2 ranks; these numbers of ranks divide it: 1, 3, 5, 15"
expect_exit 78 train 4 run tiny.ini train.batch=18
expect_message "these numbers of ranks divide it: 1, 2, 3, 6, 9, 18"
expect_exit 78 train 2 run tiny.ini log.validate_every=1 data.validation_split=dev
expect_message 'there is no split "dev"'
expect_exit 78 train 2 run tiny.ini log.grid_every=1 sample.kind=euler
expect_message 'there is no sampler "euler"; there are'

# ---- a run directory that cannot be one: 74
for n in 1 2; do
    expect_exit 74 train $n tiny.ini/run tiny.ini
    expect_message "tiny.ini/run: the directory cannot be made: Not a directory"
    expect_exit 74 train $n /proc/tweedie/run tiny.ini
    expect_message "/proc/tweedie: the directory cannot be made"
done
mkdir blocked && touch blocked/checkpoints
expect_exit 74 train 2 blocked tiny.ini
expect_message "blocked/checkpoints: is not a directory"
