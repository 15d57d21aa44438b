# SPDX-License-Identifier: BSD-3-Clause
"""ReFrame checks of an installed Tweedie (module `tweedie`, or tweedie in PATH):

    reframe -C SITE.py -c scripts/reframe/tweedie_checks.py -r

One rank and several train the same few steps of the embedded MNIST: the losses must agree, and the speed is recorded. The reduction of gradients
is timed.
"""

import os

import reframe as rfm
import reframe.utility.sanity as sn
from reframe.core.builtins import parameter, performance_function, run_after, run_before, sanity_function, variable


class TweedieCheck(rfm.RunOnlyRegressionTest):
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    program = variable(str, value=os.environ.get("TWEEDIE", "tweedie"))
    ranks_per_node = variable(int, value=1)
    time_limit = "10m"

    @run_after("init")
    def load(self):
        if "TWEEDIE" not in os.environ:
            self.modules = ["tweedie"]

    @run_before("run")
    def place(self):
        self.executable = self.program
        self.num_tasks_per_node = min(self.ranks_per_node, self.num_tasks)
        processor = self.current_partition.processor
        if processor.num_cpus and not self.num_cpus_per_task:
            self.num_cpus_per_task = max(1, processor.num_cpus // self.num_tasks_per_node)
        self.env_vars = {"OMP_NUM_THREADS": self.num_cpus_per_task or 1, "SLURM_PMIX_FENCE": "tree"}


@rfm.simple_test
class TweedieTrains(TweedieCheck):
    """Twenty steps, on one rank and on two nodes: the same loss to rounding, and images a second."""

    ranks = parameter([1, 2])

    @run_after("init")
    def tasks(self):
        self.num_tasks = self.ranks

    @run_before("run")
    def command(self):
        self.prerun_cmds = ["rm -rf run"]
        data = os.path.join(os.environ.get("TWEEDIE_ROOT", ""), "share/tweedie/datasets/mnist.h5")
        config = os.path.join(os.environ.get("TWEEDIE_JOBS", "jobs"), "config/mnist-quick.ini")
        self.executable_opts = ["train", config, "--run", "run", "train.steps=20", "train.batch=16", "log.every=20",
                                "log.grid_every=0", "log.validate_every=0", "checkpoint.every=20"]
        if os.path.exists(data):
            self.executable_opts.append(f"data.path={data}")
        self.postrun_cmds = ["grep '\"loss\"' run/metrics.jsonl | tail -n 1"]

    def number(self, key):
        return sn.extractsingle(rf'"{key}": ?([-+0-9.e]+)', self.stdout, 1, float)

    @sanity_function
    def trained(self):
        return sn.all([sn.assert_eq(self.number("step"), 20), sn.assert_bounded(self.number("loss"), 0.01, 2.0)])

    @performance_function("images/s")
    def speed(self):
        return self.number("images_per_second")


@rfm.simple_test
class TweedieReduces(TweedieCheck):
    """The reduction of gradients over nodes."""

    num_tasks = 2

    @run_before("run")
    def command(self):
        self.executable_opts = ["bench", "reduce", "--megabytes", "32", "--json"]

    @sanity_function
    def reduced(self):
        return sn.assert_found(r'"ranks": ?2\b', self.stdout)

    @performance_function("ms")
    def reduction(self):
        return sn.extractsingle(r'"reduction_ms": ?([0-9.]+)', self.stdout, 1, float)
