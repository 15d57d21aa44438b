# SPDX-License-Identifier: BSD-3-Clause

import pathlib

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Tweedie(CMakePackage):
    """Score-based generative models on CPU clusters: trains denoising score matching, DDPM and
    score SDEs across MPI ranks with oneDNN and parallel HDF5, and samples them."""

    # The recipe lies in a clone of the project, and builds what the clone's main branch holds.
    git = f"file://{pathlib.Path(__file__).resolve().parents[6]}"

    license("BSD-3-Clause")

    version("main", branch="main")

    variant("shared", default=False, description="Build libtweedie as a shared library")

    depends_on("c", type="build")
    depends_on("cmake@3.20:", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("random123", type="build")
    depends_on("cmocka", type="test")

    depends_on("mpi")
    depends_on("hdf5@1.10.6:+mpi")
    depends_on("onednn@2.6: cpu_runtime=omp gpu_runtime=none")
    depends_on("libinih")
    depends_on("libpng")
    depends_on("jpeg")
    depends_on("zlib-api")
    depends_on("xxhash")

    def cmake_args(self):
        return [
            self.define("BUILD_TESTING", self.run_tests),
            self.define("HDF5_PREFER_PARALLEL", True),
            self.define_from_variant("BUILD_SHARED_LIBS", "shared"),
        ]

    def setup_run_environment(self, env: EnvironmentModifications) -> None:
        env.set("TWEEDIE_ROOT", self.prefix)
        env.set("TWEEDIE", self.prefix.bin.tweedie)
        env.set("TWEEDIE_JOBS", self.prefix.share.tweedie.jobs)

    def test_version(self):
        """the program starts and names its libraries"""
        tweedie = which(self.prefix.bin.tweedie)
        out = tweedie("--version", output=str.split, error=str.split)
        for library in ("onednn", "hdf5", "mpi"):
            assert library in out
