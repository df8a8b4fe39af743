"""Trainers of others take a loader as it is: Lightning and Accelerate neither shard it again nor lose its state."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")

import negpipe  # noqa: E402
import negpipe.torch  # noqa: E402


def loader():
    data = negpipe.Dataset.synthetic(users=50, items=300, interactions=1500, seed=3)
    return negpipe.torch.TrainLoader(data, 504, seed=42)


def items_of(epochs):
    batches = loader()
    return [items.clone() for epoch in range(epochs) for _, items, _ in batches.epoch(epoch)]


def assert_equal(found, wanted):
    assert len(found) == len(wanted)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted))


def test_lightning_trains_on_every_batch_and_resumes_in_the_middle_of_an_epoch(tmp_path):
    lightning = pytest.importorskip("pytorch_lightning", reason="pytorch-lightning is not installed")

    class Recorder(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.seen = []

        def training_step(self, batch, _):
            self.seen.append(batch[1].clone())
            return (self.weight * batch[2]).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    class SaveOnce(lightning.Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 19:  # an epoch has 15
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    def fit(callbacks=(), **options):
        module = Recorder()
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = lightning.Trainer(accelerator="cpu", max_epochs=2, enable_checkpointing=False,
                                    callbacks=list(callbacks), **quiet)
        trainer.fit(module, train_dataloaders=loader(), **options)
        return module.seen

    wanted = items_of(2)
    assert_equal(fit([SaveOnce()]), wanted)
    assert_equal(fit(ckpt_path=tmp_path / "middle.ckpt", weights_only=False), wanted[19:])


def test_accelerate_leaves_a_loader_alone_and_saves_its_state(tmp_path):
    accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")
    accelerator = accelerate.Accelerator(cpu=True)
    ours = loader()
    assert accelerator.prepare(ours) is ours
    accelerator.register_for_checkpointing(ours)
    assert_equal([items for _, items, _ in ours], items_of(1))
    iterator = iter(ours)
    next(iterator)
    accelerator.save_state(tmp_path / "state")
    wanted = [items.clone() for _, items, _ in iterator]
    accelerator.load_state(tmp_path / "state")
    assert_equal([items for _, items, _ in ours], wanted)
