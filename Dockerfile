# The program negpipe with its CUDA backend. On a machine with the NVIDIA container toolkit:
#
#   docker build -t negpipe .
#   docker run --rm --gpus all -v "$PWD:/data" -w /data negpipe generate ml-1m --out run --seed 42
#
# Without a GPU leave --gpus out: the program runs on the CPU and says so.
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS build
WORKDIR /source
COPY . .
RUN scripts/setup && \
    cmake --preset release -DNEGPIPE_CUDA=ON -DNEGPIPE_BUILD_TESTS=OFF -DNEGPIPE_BUILD_BENCH=OFF && \
    cmake --build build/release -j "$(nproc)" --target negpipe_cli
# The shared libraries that the program needs beyond those of the C library, for the image that runs it.
RUN mkdir -p /install/bin /install/lib && cp build/release/negpipe /install/bin/ && \
    ldd build/release/negpipe | awk '/=> \// { print $3 }' | grep -Ev '/lib(c|m|gcc_s)\.so' | xargs cp -Lt /install/lib

FROM ubuntu:24.04
COPY --from=build /install /usr/local
RUN ldconfig && negpipe --help >/dev/null
# The driver's libraries are mounted by the container toolkit; the runtime is linked into the program.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENTRYPOINT ["negpipe"]
CMD ["--help"]
