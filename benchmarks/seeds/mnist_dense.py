"""The network of the first lessons (64 units, batch 4) as a bare script; prints its timers."""

from common import Timers, epochs_or, load_mnist
from keras.layers import Activation, Dense
from keras.models import Sequential
from keras.utils import to_categorical

timers = Timers()
timers.start("data-load")
(x_train, y_train), (x_test, y_test) = load_mnist()
timers.stop("data-load")

y_train = to_categorical(y_train)
y_test = to_categorical(y_test)
x_train = x_train.reshape([-1, 784]).astype("float32") / 255
x_test = x_test.reshape([-1, 784]).astype("float32") / 255

batch_size = 4
model = Sequential()
model.add(Dense(64, input_dim=784))
model.add(Dense(10))
model.add(Activation("softmax"))

timers.start("compile")
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
timers.stop("compile")
timers.start("train")
model.fit(x_train, y_train, epochs=epochs_or(1), batch_size=batch_size)
timers.stop("train")
timers.start("test")
loss, accuracy = model.evaluate(x_test, y_test, batch_size=batch_size)
timers.stop("test")
timers.report(accuracy, int(model.optimizer.iterations))
